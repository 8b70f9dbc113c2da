"""A scene in cells, each at several levels of detail, and the files that hold them.

Level 0 is the scene itself; each further level has a quarter of the Gaussians of the one before. A file of
level l holds 4**l neighbouring cells, so that files of all levels are about equally large, and each file
covers what four of the next finer level cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from sfumato.levels.cells import CellStore, Report
from sfumato.levels.simplify import simplify
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.scene.gaussians import Gaussians

# Gaussians in a cell, at most and on average; the most of the coarsest level, which a viewer shows first.
CELL_OF_LEVELS, COARSEST = 65_536, 65_536
# Gaussians of one level for one of the next.
STEP = 4
# Digits of numbers in descriptions: those of float32.
_DIGITS = 7

# Lowest and highest corner, [3] each.
Box = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class LevelFile:
    """The Gaussians of neighbouring cells at one level.

    Attributes:
        level: 0 is the finest.
        number: among the files of this level.
        parts: the cells that have Gaussians, with these.
    """

    level: int
    number: int
    parts: list[tuple[int, Gaussians]]

    def __len__(self) -> int:
        return sum(len(part) for _, part in self.parts)


def num_levels(count: int) -> int:
    """Number of levels of a scene with ``count`` Gaussians."""
    levels = 1
    while count > COARSEST * STEP ** (levels - 1):
        levels += 1
    return levels


def level_files(store: CellStore, boxes: dict[int, Box], report: Report | None = None) -> Iterator[LevelFile]:
    """All files of a scene, each as soon as its cells are made.

    Args:
        store: the scene.
        boxes: receives the bounds of each cell with Gaussians, of all levels.
        report: called with the number of Gaussians done and of all.
    """
    total, last = int(store.counts.sum()), store.tree.num_cells - 1
    levels = num_levels(total)
    waiting: list[list[tuple[int, Gaussians]]] = [[] for _ in range(levels)]
    for cell in range(store.tree.num_cells):
        part: Gaussians = store.read(cell)
        for level in range(levels if len(part) else 0):
            if level:
                part = simplify(part, max(1, len(part) // STEP))
            waiting[level].append((cell, part))
            boxes[cell] = _joined(boxes.get(cell), box_of(part))
        for level in range(levels):
            if waiting[level] and ((cell + 1) % STEP**level == 0 or cell == last):
                yield LevelFile(level, cell // STEP**level, waiting[level])
                waiting[level] = []
        if report:
            report(int(store.counts[: cell + 1].sum()), total)


def box_of(gaussians: Gaussians) -> Box:
    """The bounds of Gaussians, at least one: of boxes with their standard deviations as half sides."""
    rotations = rotation_from_quats(gaussians.quats.double())
    halves = torch.einsum("nij,nj->ni", rotations.abs(), gaussians.log_scales.double().exp())
    means = gaussians.means.double()
    return (means - halves).amin(0).numpy(), (means + halves).amax(0).numpy()


def _joined(one: Box | None, other: Box) -> Box:
    return other if one is None else (np.minimum(one[0], other[0]), np.maximum(one[1], other[1]))


def joined_boxes(boxes: list[Box]) -> Box:
    """The bounds of several boxes, at least one."""
    return np.min([low for low, _ in boxes], axis=0), np.max([high for _, high in boxes], axis=0)


def rounded(values: Iterable[float]) -> list[float]:
    """Numbers as descriptions write them."""
    return [float(f"{value:.{_DIGITS}g}") for value in values]
