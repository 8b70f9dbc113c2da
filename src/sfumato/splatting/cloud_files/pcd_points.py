"""Measured points of ``.pcd`` files of the Point Cloud Library: text, binary and compressed."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.splatting.cloud_files.cloud_file import PIECE_POINTS, CloudFile
from sfumato.splatting.cloud_files.lzf import decompressed
from sfumato.splatting.cloud_files.text_rows import number_rows
from sfumato.splatting.measured import MeasuredCloud

_HEADER_LIMIT_BYTES = 64 * 1024
_KINDS = {("F", 4): "<f4", ("F", 8): "<f8"}
_KINDS |= {(sign, size): f"<{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)}
_POSITION, _NORMAL = ("x", "y", "z"), ("normal_x", "normal_y", "normal_z")
_FORMS = ("ascii", "binary", "binary_compressed")
# Largest possible compression ratio.
_MOST_RATIO = 264
_MOST_FIELD_COUNT = 4096


@dataclass(frozen=True)
class _Header:
    """The header of a file; ``fields`` is a NumPy dtype description."""

    path: Path
    fields: list[tuple[str, str, tuple[int, ...]]]
    count: int
    form: str
    viewpoint: np.ndarray
    start_bytes: int

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.fields)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file that begins with ``head`` is a PCD file."""
    lines = [line for line in head[:4096].split(b"\n") if not line.startswith(b"#")]
    return bool(lines) and lines[0].split()[:1] == [b"VERSION"]


def open_points(path: Path) -> CloudFile:
    """The points of a PCD file.

    Raises:
        FormatError: it is not a PCD file, has no positions, or is shorter than its header declares.
    """
    header = _read_header(path)
    held = path.stat().st_size - header.start_bytes
    least = header.count * {"binary": header.dtype.itemsize, "ascii": 2 * len(header.fields)}.get(
        header.form, 0
    )
    # The last line of a text file may lack its newline.
    if least > held + (header.form == "ascii"):
        raise FormatError(
            f"{path} declares {header.count} points, at least {least} bytes, but holds {held}; it is "
            "truncated or its count is wrong"
        )
    return CloudFile("PCD", header.count, lambda: _pieces(header, held))


def _read_header(path: Path) -> _Header:
    with path.open("rb") as handle:
        head = handle.read(_HEADER_LIMIT_BYTES)
    rows: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in rows:
        end = head.find(b"\n", start)
        if end < 0:
            raise FormatError(f"{path} has no DATA line in its header")
        words = head[start:end].decode("ascii", "replace").split()
        start = end + 1
        if words and not words[0].startswith("#"):
            rows[words[0]] = words[1:]
    try:
        names, sizes = rows["FIELDS"], [int(word) for word in rows["SIZE"]]
        repeats = [int(word) for word in rows.get("COUNT", ["1"] * len(names))]
        count = int((rows.get("POINTS") or [""])[0] or int(rows["WIDTH"][0]) * int(rows["HEIGHT"][0]))
        kinds = [_KINDS[kind, size] for kind, size in zip(rows["TYPE"], sizes, strict=True)]
        viewpoint = np.array([float(word) for word in rows.get("VIEWPOINT", ["0"] * 3)[:3]])
        if not len(names) == len(kinds) == len(repeats):
            raise ValueError
        form = rows["DATA"][0]
    except (KeyError, ValueError, IndexError, OverflowError):
        raise FormatError(f"{path} has a header that cannot be understood") from None
    usable = 0 <= count < 2**48 and len(viewpoint) == 3 and all(0 < n <= _MOST_FIELD_COUNT for n in repeats)
    if form not in _FORMS or not usable:
        raise FormatError(f"{path} has a header that cannot be understood")
    if not set(names) >= set(_POSITION):
        raise FormatError(f"{path} has no fields x, y and z, and so no points")
    # Padding fields are all named "_".
    named = [name if names.count(name) == 1 else f"{name}{i}" for i, name in enumerate(names)]
    shapes: list[tuple[int, ...]] = [(n,) if n > 1 else () for n in repeats]
    fields = [(name, kind, shape) for name, kind, shape in zip(named, kinds, shapes, strict=True)]
    if any(shape for name, _, shape in fields if name in _POSITION):
        raise FormatError(f"{path} has positions of several numbers an axis")
    return _Header(path, fields, count, form, viewpoint, start)


def _pieces(header: _Header, held: int) -> Generator[MeasuredCloud, None, None]:
    if header.form == "binary":
        rows = _binary(header)
    elif header.form == "ascii":
        rows = _ascii(header)
    else:
        rows = _compressed(header, held)
    for part in rows:
        yield _measured(part, header)


def _binary(header: _Header) -> Iterator[np.ndarray]:
    with header.path.open("rb") as handle:
        handle.seek(header.start_bytes)
        for start in range(0, header.count, PIECE_POINTS):
            wanted = min(PIECE_POINTS, header.count - start)
            data = handle.read(wanted * header.dtype.itemsize)
            if len(data) != wanted * header.dtype.itemsize:
                raise FormatError(f"{header.path} ended while it was read")
            yield np.frombuffer(data, header.dtype)


def _ascii(header: _Header) -> Iterator[np.ndarray]:
    widths = [int(np.prod(shape)) for _, _, shape in header.fields]
    ends = np.cumsum(widths)
    read = 0
    with header.path.open("rb") as handle:
        handle.seek(header.start_bytes)
        for table in number_rows(handle, header.path, columns=int(ends[-1]), most=header.count):
            # Float64 represents all 32-bit numbers exactly, including packed colours.
            wide = [(name, "<f8", shape) for name, _, shape in header.fields]
            rows = np.empty(len(table), wide)
            for (name, _, shape), end, width in zip(header.fields, ends, widths, strict=True):
                rows[name] = table[:, end - width : end].reshape(len(table), *shape)
            read += len(table)
            yield rows
    if read != header.count:
        raise FormatError(f"{header.path} is truncated: it declares {header.count} points and holds {read}")


def _compressed(header: _Header, held: int) -> Iterator[np.ndarray]:
    """Read one compressed block, in which the fields are stored as separate arrays."""
    with header.path.open("rb") as handle:
        handle.seek(header.start_bytes)
        sizes = handle.read(8)
        packed, full = struct.unpack("<II", sizes) if len(sizes) == 8 else (0, 0)
        fits = packed <= held - 8 and full == header.count * header.dtype.itemsize
        if not fits or full > packed * _MOST_RATIO:
            raise FormatError(f"{header.path} is truncated, or the sizes of its compressed points are wrong")
        data = decompressed(handle.read(packed), full)
    if data is None:
        raise FormatError(f"{header.path} is damaged: its compressed points cannot be read")
    columns, start = {}, 0
    for name, kind, shape in header.fields:
        column = np.ndarray((header.count, *shape), kind, data, offset=start)
        columns[name], start = column, start + column.nbytes
    for first in range(0, header.count, PIECE_POINTS):
        part = np.empty(min(PIECE_POINTS, header.count - first), header.dtype)
        for name, column in columns.items():
            part[name] = column[first : first + len(part)]
        yield part


def _measured(rows: np.ndarray, header: _Header) -> MeasuredCloud:
    names = set(rows.dtype.names or ())
    xyz = np.stack([rows[axis].astype(np.float64) for axis in _POSITION], axis=1)
    normals, intensity = None, None
    if names >= set(_NORMAL):
        normals = np.stack([rows[axis].astype(np.float32) for axis in _NORMAL], axis=1)
    if "intensity" in names:
        intensity = rows["intensity"].astype(np.float32).reshape(len(rows), 1)
    towards = None
    # Most files leave the viewpoint unset, at the origin.
    if header.viewpoint.any():
        away = header.viewpoint - xyz
        with np.errstate(invalid="ignore"):
            towards = (away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-30)).astype(
                np.float32
            )
    rgb = _colours(rows, {name: kind for name, kind, _ in header.fields})
    return MeasuredCloud(xyz, rgb, intensity, normals, towards, colour_range=255.0)


def _colours(rows: np.ndarray, kinds: dict[str, str]) -> np.ndarray | None:
    """[n, 3] 0 to 255, unpacked from a 32-bit number with blue in the lowest byte, then green and red."""
    name = next((name for name in ("rgb", "rgba") if name in kinds), None)
    if name is None or kinds[name][2] != "4":
        return None
    packed = np.ascontiguousarray(rows[name].reshape(len(rows), -1)[:, 0])
    bits = packed.astype("<f4").view("<u4") if kinds[name] == "<f4" else packed.astype(np.int64).astype("<u4")
    return np.stack([(bits >> shift & 255).astype(np.float32) for shift in (16, 8, 0)], axis=1)
