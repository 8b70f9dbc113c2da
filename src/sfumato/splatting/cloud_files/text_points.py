"""Measured points of text files, ``.xyz``, ``.txt``, ``.csv``, ``.asc`` and ``.pts``: a point a line.

Columns are what a first line names, else what their number tells: 3 are x y z; 4 add an intensity; 6 a
colour, or a normal where all have length 1; 7 an intensity and a colour; 9 a colour and a normal, the normal
being what has length 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.splatting.cloud_files.cloud_file import CloudFile
from sfumato.splatting.cloud_files.text_rows import LINE_CHARACTERS, is_numbers, number_rows
from sfumato.splatting.measured import MeasuredCloud

SUFFIXES = (".xyz", ".txt", ".csv", ".asc", ".pts")
# Lines that are looked at to learn what columns are, and comments and names before them.
_LOOKED_AT, _HEADER_LINES = 64, 32
# By which columns are called, one group after another.
_NAMES = {
    "xyz": ("x", "y", "z"),
    "rgb": ("r|red", "g|green", "b|blue"),
    "normals": ("nx|normal_?x", "ny|normal_?y", "nz|normal_?z"),
    "intensity": ("i|intensity|reflectance|scalar_?field",),
}
# Where there are no names: the groups of so many columns, and what those after x, y and z may be otherwise.
_BY_COUNT = {
    3: (("xyz",),),
    4: (("xyz", "intensity"),),
    6: (("xyz", "normals"), ("xyz", "rgb")),
    7: (("xyz", "intensity", "normals"), ("xyz", "intensity", "rgb")),
    9: (("xyz", "normals", "rgb"), ("xyz", "rgb", "normals")),
    10: (("xyz", "intensity", "normals", "rgb"), ("xyz", "intensity", "rgb", "normals")),
}
_UNIT_TOLERANCE = 0.02


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is text of numbers, by its name."""
    return path.suffix.lower() in SUFFIXES and b"\0" not in head


def open_points(path: Path) -> CloudFile:
    """The points of a text file.

    Raises:
        FormatError: it holds no numbers, or columns that mean nothing.
    """
    with path.open("rb") as handle:
        first = list(itertools.islice(iter(lambda: handle.readline(LINE_CHARACTERS), b""), _HEADER_LINES))
        skip, names = _header(first, path)
        handle.seek(sum(map(len, first[:skip])))
        sample = list(itertools.islice(iter(lambda: handle.readline(LINE_CHARACTERS), b""), _LOOKED_AT))
    columns = len(first[skip].replace(b",", b" ").replace(b";", b" ").split())
    # The last line may have been cut off by the limit.
    whole = [line for line in sample if is_numbers(line, columns)]
    table = np.concatenate(list(number_rows(whole, path, columns=columns)))
    places = _named(names, columns) if names else _guessed(table, path)
    return CloudFile("text", None, lambda: _pieces(path, sum(map(len, first[:skip])), columns, places))


def _header(lines: list[bytes], path: Path) -> tuple[int, list[str]]:
    """Lines before the first point, and the names of columns that one of them gives."""
    names: list[str] = []
    for skip, line in enumerate(lines):
        words = line.replace(b",", b" ").replace(b";", b" ").split()
        if not words:
            continue
        # A .pts file begins with how many points it holds.
        if len(words) >= 3 and is_numbers(line, len(words)):
            return skip, names
        found = [word.decode("ascii", "replace").strip("#/\"'").lower() for word in words]
        found = [word for word in found if word]
        if _named(found, len(found)).keys() >= {"xyz"}:
            names = found
    raise FormatError(
        f"{path} holds no points: none of its first {len(lines)} lines is of three numbers or more"
    )


def _named(names: list[str], columns: int) -> dict[str, list[int]]:
    """The columns of each group that the names are of; nothing where there are other columns than names."""
    if len(names) != columns:
        return {}
    found = {}
    for group, patterns in _NAMES.items():
        places = [[i for i, name in enumerate(names) if re.fullmatch(p, name)] for p in patterns]
        if all(places):
            found[group] = [first[0] for first in places]
    return found


def _guessed(table: np.ndarray, path: Path) -> dict[str, list[int]]:
    """The columns of each group, by how many there are and which of them are unit vectors."""
    orders = _BY_COUNT.get(table.shape[1])
    if orders is None:
        raise FormatError(
            f"{path} has {table.shape[1]} columns, and no line that names them; begin it with one such as "
            "x y z intensity r g b nx ny nz"
        )
    for order in orders:
        places, start = {}, 0
        for group in order:
            width = len(_NAMES[group])
            places[group] = list(range(start, start + width))
            start += width
        normals = table[:, places["normals"]] if "normals" in places else None
        if normals is None or (np.abs(np.linalg.norm(normals, axis=1) - 1) < _UNIT_TOLERANCE).all():
            break
    return places


def _pieces(
    path: Path, start_bytes: int, columns: int, places: dict[str, list[int]]
) -> Generator[MeasuredCloud, None, None]:
    with path.open("rb") as handle:
        handle.seek(start_bytes)
        lines = iter(lambda: handle.readline(LINE_CHARACTERS), b"")
        for table in number_rows(lines, path, columns=columns):
            with np.errstate(over="ignore"):
                rest = {name: table[:, at].astype(np.float32) for name, at in places.items() if name != "xyz"}
            yield MeasuredCloud(table[:, places["xyz"]]).with_columns(rest)
