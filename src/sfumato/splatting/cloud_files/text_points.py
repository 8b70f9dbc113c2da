"""Measured points of text files, ``.xyz``, ``.txt``, ``.csv``, ``.asc`` and ``.pts``: one point per line.

Columns are named by a header line, or inferred from their number: 3 are x y z; 4 add an intensity; 6 a
    colour,
or a normal if all have length 1; 7 an intensity and a colour; 9 a colour and a normal, which is the group
with length 1.
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
# Number of lines from which columns are inferred, and largest number of header lines.
_LOOKED_AT, _HEADER_LINES = 64, 32
# Accepted names of the columns of each group, as regular expressions.
_NAMES = {
    "xyz": ("x", "y", "z"),
    "rgb": ("r|red", "g|green", "b|blue"),
    "normals": ("nx|normal_?x", "ny|normal_?y", "nz|normal_?z"),
    "intensity": ("i|intensity|reflectance|scalar_?field",),
}
# Without names: the possible groups by number of columns, in the order in which they are tried.
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
    """Whether a file is a text file of points, by its suffix."""
    return path.suffix.lower() in SUFFIXES and b"\0" not in head


def open_points(path: Path) -> CloudFile:
    """The points of a text file.

    Raises:
        FormatError: it has no numbers, or columns of unknown meaning.
    """
    with path.open("rb") as handle:
        first = list(itertools.islice(iter(lambda: handle.readline(LINE_CHARACTERS), b""), _HEADER_LINES))
        skip, names = _header(first, path)
        handle.seek(sum(map(len, first[:skip])))
        sample = list(itertools.islice(iter(lambda: handle.readline(LINE_CHARACTERS), b""), _LOOKED_AT))
    columns = len(first[skip].replace(b",", b" ").replace(b";", b" ").split())
    # Lines longer than the limit are split; only complete ones are used.
    whole = [line for line in sample if is_numbers(line, columns)]
    table = np.concatenate(list(number_rows(whole, path, columns=columns)))
    places = _named(names, columns) if names else _guessed(table, path)
    return CloudFile("text", None, lambda: _pieces(path, sum(map(len, first[:skip])), columns, places))


def _header(lines: list[bytes], path: Path) -> tuple[int, list[str]]:
    """The number of lines before the first point, and column names if one of them is a header."""
    names: list[str] = []
    for skip, line in enumerate(lines):
        words = line.replace(b",", b" ").replace(b";", b" ").split()
        if not words:
            continue
        # A .pts file begins with the number of points.
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
    """The columns of each named group; empty if the number of names differs from that of columns."""
    if len(names) != columns:
        return {}
    found = {}
    for group, patterns in _NAMES.items():
        places = [[i for i, name in enumerate(names) if re.fullmatch(p, name)] for p in patterns]
        if all(places):
            found[group] = [first[0] for first in places]
    return found


def _guessed(table: np.ndarray, path: Path) -> dict[str, list[int]]:
    """The columns of each group, inferred from their number and from which of them are unit vectors."""
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
