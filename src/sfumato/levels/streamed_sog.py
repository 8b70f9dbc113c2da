"""Writing of Streamed SOG: a folder of chunks at several levels of detail, which viewers load as needed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import ConfigError, FormatError, SfumatoError
from sfumato.levels.cells import CellStore, Report, divided
from sfumato.levels.pyramid import CELL_OF_LEVELS, Box, LevelFile, joined_boxes, level_files, rounded
from sfumato.levels.scene_source import SceneSource
from sfumato.levels.staging import staged
from sfumato.maths.morton import morton_order
from sfumato.outputs import write_text
from sfumato.scene.files import sog, values
from sfumato.scene.files.rounding import warn_of_moved
from sfumato.scene.files.sog_levels import INDEX, VERSION, read_index
from sfumato.scene.scene import GENERATOR, Metadata

# The palette of view-dependent colour of a chunk has one row per this many Gaussians.
_OF_ONE_ROW = 16

_Places = dict[tuple[int, int], dict[str, int]]


def write_streamed(
    source: SceneSource, path: Path, *, cell: int = CELL_OF_LEVELS, report: Report | None = None
) -> list[int]:
    """Write a scene as Streamed SOG, with a bounded number of Gaussians in memory.

    Chunks are written to a temporary folder beside the description, and the description last. Chunks of an
    earlier scene under the same description are removed.

    Args:
        source: the scene.
        path: `lod-meta.json` in the folder to write to.
        cell: Gaussians of the finest level in a part of space, on average and at most.
        report: called with the number of Gaussians done and of all.

    Returns:
        The number of Gaussians of each level.

    Raises:
        ConfigError: the file has another name.
        FormatError: the scene cannot be read, or has no Gaussians.
        SfumatoError: the folder cannot be written.
    """
    if path.name != INDEX:
        raise ConfigError(f"{path}: the description of Streamed SOG must be called {INDEX}")
    if not source.count:
        raise FormatError("the scene cannot be saved: Streamed SOG holds 1 and more Gaussians, not 0")
    values.warn_of_lost_metadata(replace(source.metadata, antialiased=False), INDEX)
    with staged(path) as staging:
        with divided(source.blocks, source.count, cell, staging) as store:
            chunks = _Chunks(staging, source.metadata)
            boxes: dict[int, Box] = {}
            for file in level_files(store, boxes, report):
                chunks.write(file)
            index = chunks.index(store, boxes)
        warn_of_moved(chunks.num_moved, index["count"], INDEX)
        _replace_chunks(path, staging, index["filenames"])
        write_text(path, json.dumps(index, allow_nan=False, separators=(",", ":")) + "\n")
    return index["counts"]


class _Chunks:
    """The chunks written so far.

    Args:
        folder: where they are written.
        known: metadata of the scene.
    """

    def __init__(self, folder: Path, known: Metadata) -> None:
        self._folder, self._known = folder, known
        self._names: list[str] = []
        self._counts: list[int] = []
        self._places: _Places = {}
        self.num_moved = 0

    def write(self, file: LevelFile) -> None:
        """Write a file: its cells one after another, each in the order of a space-filling curve."""
        parts = []
        for cell, part in file.parts:
            arrays = values.checked_arrays(part)
            order = morton_order(arrays["means"])
            parts.append({name: array[order] for name, array in arrays.items()})
            at = sum(len(one["means"]) for one in parts[:-1])
            place = {"file": len(self._names), "offset": at, "count": len(order)}
            self._places[cell, file.level] = place
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.num_moved += sog.visibly_moved(arrays)
        folder = f"{file.level}_{file.number}"
        (self._folder / folder).mkdir()
        for name, data in sog.encoded(arrays, self._known, max(1, len(file) // _OF_ONE_ROW)).items():
            (self._folder / folder / name).write_bytes(data)
        self._names.append(f"{folder}/{sog.META}")
        self._counts += [0] * (file.level + 1 - len(self._counts))
        self._counts[file.level] += len(file)

    def index(self, store: CellStore, boxes: dict[int, Box]) -> dict[str, Any]:
        """The description of all chunks."""
        return {
            "version": VERSION,
            "asset": {"generator": GENERATOR},
            "count": sum(self._counts),
            "counts": self._counts,
            "lodLevels": len(self._counts),
            "filenames": self._names,
            "tree": self._node(0, store.tree.num_cells, boxes),
        }

    def _node(self, first: int, end: int, boxes: dict[int, Box]) -> dict[str, Any]:
        """The node of cells from ``first`` to before ``end``, of which one at least has Gaussians."""
        there = [cell for cell in range(first, end) if cell in boxes]
        bound = _bound(joined_boxes([boxes[cell] for cell in there]))
        if end - first == 1:
            levels = range(len(self._counts))
            return {"bound": bound, "lods": {str(level): self._places[first, level] for level in levels}}
        middle = (first + end) // 2
        halves = [(a, b) for a, b in ((first, middle), (middle, end)) if any(a <= c < b for c in there)]
        return {"bound": bound, "children": [self._node(a, b, boxes) for a, b in halves]}


def _bound(box: Box) -> dict[str, list[float]]:
    return {"min": rounded(box[0]), "max": rounded(box[1])}


def _replace_chunks(path: Path, staging: Path, names: list[str]) -> None:
    """Move chunks beside the description, in place of those that it described before."""
    if path.exists():
        earlier: list[str] = []
        with suppress(SfumatoError):
            earlier = read_index(path).names
        # From here on until the description is written there is no scene rather than a mixed one.
        path.unlink()
        for name in earlier:
            if "/" in name:
                _remove_chunk(path.parent / Path(name).parent)
    for name in names:
        folder = Path(name).parent
        _remove_chunk(path.parent / folder)
        (staging / folder).rename(path.parent / folder)


def _remove_chunk(folder: Path) -> None:
    """Remove the files of a chunk, and its folder if nothing else is in it."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for file in [folder / sog.META, *folder.glob("*.webp")]:
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
