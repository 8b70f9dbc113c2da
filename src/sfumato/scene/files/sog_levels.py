"""Streamed `.sog` scenes: chunks of several levels of detail, each a `.sog` scene in its own folder."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import FormatError
from sfumato.scene.changes import merged
from sfumato.scene.files.sog_source import shown
from sfumato.scene.scene import Scene

_MOST_NODES = 1_000_000
# Relative paths below the folder of the description, without "..".
_BELOW = re.compile(r"(?!.*(^|/)\.\.?(/|$))[^\\:\x00-\x1f/][^\\:\x00-\x1f]*")

_log = logging.getLogger(__name__)

_Range = tuple[int, int, int]


def load_levels(path: Path, meta: dict[str, Any], load: Callable[[Path], Scene]) -> Scene:
    """Read the finest complete level of a streamed scene, and its environment.

    Args:
        path: its `lod-meta.json`.
        meta: its content.
        load: reads one chunk.

    Returns:
        The scene; SH of chunks with lower degrees than others are padded with zeros.

    Raises:
        FormatError: the tree or its counts are broken, no level is complete, or a chunk cannot be read.
    """
    names = meta.get("filenames")
    if not isinstance(names, list) or not all(isinstance(n, str) and _BELOW.fullmatch(n) for n in names):
        raise FormatError(f"{path} names files that do not lie below it")
    levels: dict[int, list[_Range]] = {}
    for level, run in _runs(path, meta.get("tree"), len(names)):
        levels.setdefault(level, []).append(run)
    finest = _finest(path, levels, names)
    parts = []
    for file in sorted({file for file, _, _ in levels[finest]}):
        chunk = load(path.parent / names[file])
        runs = sorted((start, count) for at, start, count in levels[finest] if at == file)
        ends = [0, *(start + count for start, count in runs)]
        if any(start < end for (start, _), end in zip(runs, ends, strict=False)) or ends[-1] > len(chunk):
            raise FormatError(f"{path} has parts of {shown(names[file])} that overlap or are not in it")
        parts += [chunk.select(torch.arange(start, start + count)) for start, count in runs]
    environment = meta.get("environment")
    if environment is not None:
        if not isinstance(environment, str) or not _BELOW.fullmatch(environment):
            raise FormatError(f"{path} has an environment {shown(environment)}, which is not below it")
        parts.append(load(path.parent / environment))
    return merged(*parts)


def _runs(path: Path, tree: object, num_files: int) -> Iterator[tuple[int, _Range]]:
    """Level, and (file, first Gaussian, count), of every piece in a tree."""
    nodes, seen = [tree], 0
    while nodes:
        node, seen = nodes.pop(), seen + 1
        if not isinstance(node, dict) or seen > _MOST_NODES:
            raise FormatError(f"{path} has a broken tree")
        children, lods = node.get("children") or [], node.get("lods") or {}
        if not isinstance(children, list) or not isinstance(lods, dict):
            raise FormatError(f"{path} has a broken tree")
        nodes += reversed(children)
        for level, piece in lods.items():
            piece = piece if isinstance(piece, dict) else {}
            run: tuple[Any, Any, Any] = piece.get("file"), piece.get("offset"), piece.get("count")
            whole = all(type(number) is int and 0 <= number < 2**31 for number in run)
            if not whole or not re.fullmatch("[0-9]{1,4}", level) or run[0] >= num_files:
                raise FormatError(f"{path} has a broken piece in its tree: {shown(level)}: {shown(run)}")
            yield int(level), run


def _finest(path: Path, levels: dict[int, list[_Range]], names: list[str]) -> int:
    missing: str | None = None
    for level in sorted(levels):
        absent = [names[file] for file, _, _ in levels[level] if not (path.parent / names[file]).is_file()]
        if not absent:
            if missing:
                _log.warning("%s is not there: level %d of %s is read", missing, level, path)
            return level
        missing = missing or absent[0]
    raise FormatError(f"{path} has no level whose files are all there: {shown(missing)} is missing")
