"""Coloured points in the world frame: the record, and a reader of ``.ply`` point clouds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_COLOURS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_MAX_HEADER_BYTES = 65_536


@dataclass(frozen=True)
class PointCloud:
    """n coloured points.

    Attributes:
        xyz: [n, 3] world frame, scene units; float64 as read from files, float32 in a capture.
        rgb: [n, 3] uint8, sRGB-encoded.
    """

    xyz: np.ndarray
    rgb: np.ndarray

    def __len__(self) -> int:
        return len(self.xyz)

    def joined(self, other: PointCloud) -> PointCloud:
        """These points and those of another cloud."""
        return PointCloud(*(np.concatenate(pair) for pair in ((self.xyz, other.xyz), (self.rgb, other.rgb))))


def finite_points(xyz: np.ndarray, rgb: np.ndarray, path: Path) -> PointCloud | None:
    """A point cloud of the rows that are finite in float32, or None if there are none.

    Args:
        xyz: [n, 3] floats, world frame.
        rgb: [n, 3] uint8.
        path: the file they come from, for the warning.
    """
    keep = (np.abs(xyz) < 1e18).all(axis=1)
    if not keep.all():
        _log.warning("%s: dropped %d of %d points that are not finite", path, int((~keep).sum()), len(keep))
    if not keep.any():
        _log.warning("%s holds no points; training will start from random points", path)
        return None
    return PointCloud(np.ascontiguousarray(xyz[keep], np.float64), np.ascontiguousarray(rgb[keep], np.uint8))


def read_ply_points(path: Path) -> PointCloud | None:
    """Positions and colours of a ``.ply`` file's vertices, ascii or binary; grey where it has no colours.

    Args:
        path: the file; "vertex" must be its first element.

    Returns:
        The finite points, or None if there are none.

    Raises:
        CaptureError: the file is not such a ply, or shorter than its header declares.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {error.strerror or error}") from None
    order, count, dtype, start = _header(data, path)
    body = memoryview(data)[start:]
    rows = (
        _ascii_rows(body, count, dtype, path) if order == "ascii" else _binary_rows(body, count, dtype, path)
    )
    xyz = np.stack([rows[axis].astype(np.float64) for axis in "xyz"], axis=1)
    names = next((names for names in _COLOURS if set(names) <= set(dtype.names or ())), None)
    if names is None:
        return finite_points(xyz, np.full((count, 3), 128, np.uint8), path)
    return finite_points(xyz, np.stack([_as_uint8(rows[name]) for name in names], axis=1), path)


def _header(data: bytes, path: Path) -> tuple[str, int, np.dtype, int]:
    """(format, vertex count, vertex row, offset of the first row)."""
    marker = data.find(b"end_header", 0, _MAX_HEADER_BYTES)
    newline = data.find(b"\n", marker)
    if not data.startswith(b"ply") or marker < 0 or newline < 0:
        raise CaptureError(f"{path} is not a .ply file: its header does not begin or end as one")
    words = [line.split() for line in data[:marker].decode("latin-1").splitlines()]
    order = next((w[1] for w in words if len(w) > 1 and w[0] == "format"), "")
    elements = [w for w in words if w and w[0] == "element"]
    if order not in _BYTE_ORDERS or not elements or elements[0][1:2] != ["vertex"]:
        raise CaptureError(f"{path}: the first element of a point cloud must be 'vertex', in a known format")
    first = words.index(elements[0]) + 1
    last = words.index(elements[1]) if len(elements) > 1 else len(words)
    properties = [w for w in words[first:last] if w and w[0] == "property"]
    try:
        count = int(elements[0][2])
        fields = [(name, _BYTE_ORDERS[order] + _PLY_TYPES[kind]) for _, kind, name in properties]
        dtype = np.dtype(fields)
    except (ValueError, KeyError, IndexError):
        raise CaptureError(f"{path}: its vertex properties cannot be read; only plain numbers are") from None
    if not {"x", "y", "z"} <= set(dtype.names or ()) or count < 0:
        raise CaptureError(f"{path}: its vertices have no x, y, z or a negative count")
    return order, count, dtype, newline + 1


def _binary_rows(body: memoryview, count: int, dtype: np.dtype, path: Path) -> np.ndarray:
    if count * dtype.itemsize > len(body):
        raise CaptureError(
            f"{path} claims {count} vertices but ends after {len(body) // dtype.itemsize}; copy it again"
        )
    return np.frombuffer(body, dtype, count)


def _ascii_rows(body: memoryview, count: int, dtype: np.dtype, path: Path) -> np.ndarray:
    if count * 2 > len(body) + 1:
        raise CaptureError(f"{path} claims {count} vertices but has only {len(body)} bytes; copy it again")
    lines = bytes(body).decode("latin-1").splitlines()[:count]
    names = dtype.names or ()
    try:
        values = np.array([[float(word) for word in line.split()] for line in lines], dtype=np.float64)
        values = values.reshape(count, len(names))
    except (ValueError, OverflowError):
        raise CaptureError(
            f"{path} does not hold {count} lines of {len(names)} numbers; copy it again"
        ) from None
    # Integers and floats stay distinct, as their colours have different ranges.
    kinds = [(name, np.float64 if dtype[name].kind == "f" else np.int64) for name in names]
    rows = np.empty(count, np.dtype(kinds))
    with np.errstate(invalid="ignore"):
        for i, name in enumerate(names):
            rows[name] = values[:, i]
    return rows


def _as_uint8(channel: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] or integers of 8 or 16 bits as 8 bits."""
    if channel.dtype.kind == "f":
        scaled = np.nan_to_num(channel.astype(np.float64)) * 255.0
    else:
        scaled = channel / (257.0 if len(channel) and channel.max() > 255 else 1.0)
    return np.clip(np.round(scaled), 0, 255).astype(np.uint8)
