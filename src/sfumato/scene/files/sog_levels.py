"""Streamed `.sog` scenes: chunks of several levels of detail, each a `.sog` scene in its own folder.

Source: version 1 of the format's description at developer.playcanvas.com, "The Streamed SOG Format".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import FormatError
from sfumato.scene.changes import merged
from sfumato.scene.files.sog_source import folder_reader, parse, shown
from sfumato.scene.scene import Scene

# The name by which readers know the format.
INDEX = "lod-meta.json"
VERSION = 1
# About 100 bytes for each piece of 65,000 Gaussians: enough for 10^10.
MAX_INDEX_BYTES = 64 * 1024 * 1024
_MOST_NODES, _MOST_LEVELS, _FARTHEST = 1_000_000, 64, 1e30
# Relative paths below the folder of the description, without "..".
_BELOW = re.compile(r"(?!.*(^|/)\.\.?(/|$))[^\\:\x00-\x1f/][^\\:\x00-\x1f]*")

_log = logging.getLogger(__name__)

Load = Callable[[Path], Scene]


@dataclass(frozen=True)
class LevelPiece:
    """Consecutive Gaussians of a file: index of the file, first Gaussian, and their number."""

    file: int
    start: int
    count: int


@dataclass(frozen=True)
class LevelNode:
    """A part of space at several levels of detail.

    Attributes:
        bounds: its lowest and highest corner, scene units; None if the file does not say them.
        pieces: its Gaussians by level; 0 is the finest.
    """

    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None
    pieces: dict[int, LevelPiece]


@dataclass(frozen=True)
class LevelIndex:
    """A streamed scene without its Gaussians.

    Attributes:
        path: its `lod-meta.json`.
        names: the `meta.json` of each file, relative to the folder of ``path``.
        nodes: the parts of space that have Gaussians.
        environment: the `meta.json` of what surrounds the scene, or None.
    """

    path: Path
    names: list[str]
    nodes: list[LevelNode]
    environment: str | None

    @property
    def levels(self) -> list[int]:
        """The levels that any part has, the finest first."""
        return sorted({level for node in self.nodes for level in node.pieces})

    def pieces(self, level: int) -> list[LevelPiece]:
        """The pieces of a level, by file and place in it."""
        found = [node.pieces[level] for node in self.nodes if level in node.pieces]
        return sorted(found, key=lambda piece: (piece.file, piece.start))

    def count(self, level: int) -> int:
        """Number of Gaussians of a level, without the environment."""
        return sum(piece.count for piece in self.pieces(level))


def read_index(path: Path) -> LevelIndex:
    """Read the description of a streamed scene.

    Raises:
        FormatError: it is missing, no description of a streamed scene, or broken.
    """
    return index_of(path, parse(folder_reader(path.parent)(path.name, MAX_INDEX_BYTES), str(path)))


def index_of(path: Path, meta: dict[str, Any]) -> LevelIndex:
    """The same of its parsed content.

    Raises:
        FormatError: the tree or its counts are broken, it has no Gaussians, or files do not lie below it.
    """
    version = meta.get("version", VERSION)
    if version != VERSION:
        raise FormatError(f"{path} is of version {shown(version)} of Streamed SOG; known is {VERSION}")
    names = meta.get("filenames")
    if not isinstance(names, list) or not all(isinstance(n, str) and _BELOW.fullmatch(n) for n in names):
        raise FormatError(f"{path} names files that do not lie below it")
    environment = meta.get("environment")
    if environment is not None and (not isinstance(environment, str) or not _BELOW.fullmatch(environment)):
        raise FormatError(f"{path} has an environment {shown(environment)}, which is not below it")
    index = LevelIndex(path, names, list(_nodes(path, meta.get("tree"), len(names))), environment)
    if not index.nodes:
        raise FormatError(f"{path} has no Gaussians in its tree")
    _check_overlaps(index)
    counts, levels = meta.get("counts"), index.levels
    if counts is not None and counts != [index.count(level) for level in range(max(levels, default=-1) + 1)]:
        raise FormatError(f"{path} has counts {shown(counts)}, which are not those of its tree")
    return index


def load_levels(index: LevelIndex, load: Load) -> Scene:
    """Read the finest complete level of a streamed scene, and its environment.

    Args:
        index: its description.
        load: reads one file.

    Returns:
        The scene; SH of files with lower degrees than others are padded with zeros.

    Raises:
        FormatError: no level is complete, or a file cannot be read.
    """
    return merged(*level_parts(index, finest_level(index), load))


def level_parts(index: LevelIndex, level: int, load: Load) -> Iterator[Scene]:
    """The Gaussians of one level, file by file, then those of the environment.

    Raises:
        FormatError: a file cannot be read, or has fewer Gaussians than the description says.
    """
    pieces = index.pieces(level)
    for file in sorted({piece.file for piece in pieces}):
        name, wanted = index.names[file], [piece for piece in pieces if piece.file == file]
        part = load(index.path.parent / name)
        if wanted[-1].start + wanted[-1].count > len(part):
            raise FormatError(f"{index.path} has parts of {shown(name)} that are not in it")
        yield part.select(torch.cat([torch.arange(p.start, p.start + p.count) for p in wanted]))
    if index.environment is not None:
        yield load(index.path.parent / index.environment)


def finest_level(index: LevelIndex) -> int:
    """The finest level whose files are all there; a warning is logged if it is not the finest of all.

    Raises:
        FormatError: there is none.
    """
    missing: str | None = None
    for level in index.levels:
        files = sorted({piece.file for piece in index.pieces(level)})
        names = [index.names[file] for file in files]
        absent = [name for name in names if not (index.path.parent / name).is_file()]
        if not absent:
            if missing:
                _log.warning("%s is not there: level %d of %s is read", missing, level, index.path)
            return level
        missing = missing or absent[0]
    raise FormatError(f"{index.path} has no level whose files are all there: {shown(missing)} is missing")


def _nodes(path: Path, tree: object, num_files: int) -> Iterator[LevelNode]:
    nodes, seen = [tree], 0
    while nodes:
        node, seen = nodes.pop(), seen + 1
        if not isinstance(node, dict) or seen > _MOST_NODES:
            raise FormatError(f"{path} has a broken tree")
        children, lods = node.get("children") or [], node.get("lods") or {}
        if not isinstance(children, list) or not isinstance(lods, dict) or len(lods) > _MOST_LEVELS:
            raise FormatError(f"{path} has a broken tree")
        nodes += reversed(children)
        pieces = dict(_piece(path, level, piece, num_files) for level, piece in lods.items())
        if pieces:
            yield LevelNode(_bounds(path, node.get("bound")), pieces)


def _piece(path: Path, level: str, piece: object, num_files: int) -> tuple[int, LevelPiece]:
    piece = piece if isinstance(piece, dict) else {}
    run: tuple[Any, Any, Any] = piece.get("file"), piece.get("offset"), piece.get("count")
    whole = all(type(number) is int and 0 <= number < 2**31 for number in run)
    if not whole or not re.fullmatch("[0-9]{1,4}", level) or run[0] >= num_files:
        raise FormatError(f"{path} has a broken piece in its tree: {shown(level)}: {shown(run)}")
    return int(level), LevelPiece(*run)


def _bounds(path: Path, bound: object) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    if bound is None:
        return None
    corners: list[Any] = [bound.get("min"), bound.get("max")] if isinstance(bound, dict) else [None]
    for corner in corners:
        is_point = isinstance(corner, list) and len(corner) == 3
        if not is_point or not all(type(v) in (int, float) and abs(v) < _FARTHEST for v in corner):
            raise FormatError(f"{path} has broken bounds in its tree: {shown(bound)}")
    low, high = (tuple(float(value) for value in corner) for corner in corners)
    if any(a > b for a, b in zip(low, high, strict=True)):
        raise FormatError(f"{path} has bounds in its tree that end before they begin: {shown(bound)}")
    return low, high


def _check_overlaps(index: LevelIndex) -> None:
    """Refuse pieces that share Gaussians: with them a small file could declare a huge scene."""
    for level in index.levels:
        pieces = index.pieces(level)
        for one, other in pairwise(pieces):
            if one.file == other.file and one.start + one.count > other.start:
                name = shown(index.names[one.file])
                raise FormatError(f"{index.path} has parts of {name} that overlap")
