"""A scene of any size, divided into k-d cells of bounded size in a temporary file.

Source of Gaussians is a function that yields them in blocks; it is called three times: for a sample of the
centres, for the number in each cell, and for the Gaussians themselves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.scene.gaussians import Gaussians

# Centres that the cells are found from.
_SAMPLE = 1_000_000
# Columns of a row before the SH: means, log scales, quaternions, logit opacities.
_WIDTHS = (3, 3, 4, 1)
_BEFORE_SH = sum(_WIDTHS)

Blocks = Callable[[], Iterable[Gaussians]]
# Called with the number of Gaussians done and of all.
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class CellTree:
    """A complete binary tree of cells, each divided at the median along its longest side.

    Attributes:
        depth: levels of division; there are 2**depth cells.
        axes: [2**depth - 1] axis of each division, in the order of a heap.
        places: [2**depth - 1] where along that axis; what lies above is in the second child.
    """

    depth: int
    axes: np.ndarray
    places: np.ndarray

    @property
    def num_cells(self) -> int:
        return 2**self.depth

    def cells_of(self, means: np.ndarray) -> np.ndarray:
        """[n] int64 cell of each of the centres [n, 3]; neighbouring cells have neighbouring numbers."""
        node = np.zeros(len(means), np.int64)
        rows = np.arange(len(means))
        for _ in range(self.depth):
            node = 2 * node + 1 + (means[rows, self.axes[node]] > self.places[node])
        return node - (self.num_cells - 1)


def cell_tree(means: np.ndarray, depth: int) -> CellTree:
    """The cells of a sample of centres [n, 3]."""
    axes = np.zeros(2**depth - 1, np.int64)
    places = np.zeros(2**depth - 1, np.float32)
    parts = [means]
    for level in range(depth):
        halves = []
        for node, part in enumerate(parts, start=2**level - 1):
            if len(part):
                # Percentiles, so that a few distant Gaussians do not choose the axis.
                low, high = np.percentile(part, (2, 98), axis=0)
                axes[node] = int(np.argmax(high - low))
                places[node] = np.median(part[:, axes[node]])
            above = part[:, axes[node]] > places[node]
            halves += [part[~above], part[above]]
        parts = halves
    return CellTree(depth, axes, places)


def depth_for(count: int, most: int) -> int:
    """The least depth of a tree whose cells have at most ``most`` of ``count`` Gaussians on average."""
    depth = 0
    while count > most << depth:
        depth += 1
    return depth


class CellStore:
    """The Gaussians of each cell, in a file.

    Args:
        handle: the file.
        tree: the cells.
        counts: [cells] int64 number of Gaussians in each.
        num_coefficients: of their SH.
    """

    def __init__(self, handle: BinaryIO, tree: CellTree, counts: np.ndarray, num_coefficients: int) -> None:
        self._handle, self.tree, self.counts = handle, tree, counts
        self._k = num_coefficients
        self._width = _BEFORE_SH + 3 * num_coefficients
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._filled = self._starts[:-1].copy()

    def put(self, gaussians: Gaussians) -> None:
        """Store Gaussians in their cells."""
        arrays = [tensor.detach().cpu().float().numpy() for tensor in gaussians.tensors().values()]
        rows = np.concatenate([array.reshape(len(gaussians), -1) for array in arrays], axis=1)
        cells = self.tree.cells_of(arrays[0])
        order = np.argsort(cells, kind="stable")
        rows, cells = rows[order], cells[order]
        firsts = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]]))
        for first, end in zip(firsts, [*firsts[1:], len(cells)], strict=True):
            cell = cells[first]
            self._handle.seek(4 * self._width * int(self._filled[cell]))
            self._handle.write(rows[first:end].tobytes())
            self._filled[cell] += end - first

    def read(self, cell: int) -> Gaussians:
        """The Gaussians of a cell, float32 on the CPU."""
        self._handle.seek(4 * self._width * int(self._starts[cell]))
        data = self._handle.read(4 * self._width * int(self.counts[cell]))
        rows = np.frombuffer(data, np.float32).reshape(-1, self._width)
        ends = np.cumsum([0, *_WIDTHS, 3 * self._k])
        means, log_scales, quats, logits, sh = (
            torch.from_numpy(rows[:, a:b].copy()) for a, b in pairwise(ends)
        )
        return Gaussians(means, log_scales, quats, logits[:, 0], sh.reshape(len(rows), self._k, 3))


@contextmanager
def divided(blocks: Blocks, count: int, most: int, folder: Path | None = None) -> Iterator[CellStore]:
    """Divide a scene into cells, in a temporary file that is removed at the end.

    Args:
        blocks: yields its Gaussians, some at a time and the same at each call, all of one SH degree.
        count: number of its Gaussians, at least 1.
        most: Gaussians in a cell, on average and at most.
        folder: of the temporary file; by default that of the system.

    Returns:
        A context manager that gives the store.

    Raises:
        FormatError: the blocks hold another number of Gaussians.
        OSError: the disk is full.
    """
    every = max(1, count // _SAMPLE)
    sample = np.concatenate([block.means[::every].detach().cpu().float().numpy() for block in blocks()])
    tree = cell_tree(sample, depth_for(count, most))
    counts, num_coefficients = np.zeros(tree.num_cells, np.int64), 1
    for block in blocks():
        cells = tree.cells_of(block.means.detach().cpu().float().numpy())
        counts += np.bincount(cells, minlength=tree.num_cells)
        num_coefficients = block.sh.shape[1]
    if counts.sum() != count:
        raise FormatError(f"the scene has {counts.sum()} Gaussians where {count} were announced")
    with tempfile.TemporaryFile(dir=folder, prefix="sfumato-cells-") as handle:
        store = CellStore(handle, tree, counts, num_coefficients)
        for block in blocks():
            store.put(block)
        yield store
