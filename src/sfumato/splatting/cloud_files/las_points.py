"""Measured points of ``.las`` and ``.laz`` files, with the extra ``las``."""

from __future__ import annotations

import struct
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import FormatError
from sfumato.splatting.cloud_files.cloud_file import PIECE_POINTS, CloudFile, optional
from sfumato.splatting.measured import MeasuredCloud

MAGIC = b"LASF"
_Z_UP = (0.0, 0.0, 1.0)
# Layout of the size fields in the public header block of LAS 1.0 to 1.4.
_SIZES = struct.Struct("<HIIBHI")
_SIZES_AT, _COUNT_14 = 94, struct.Struct("<Q")
_COUNT_14_AT, _HEADER_14, _LEAST_HEADER = 247, 375, 227
_VLR_BYTES, _COMPRESSED_BIT, _LEAST_POINT_BYTES = 54, 0x80, 20
_PIECE_BYTES = 64 << 20
_CHUNK_TABLE = struct.Struct("<II")


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file that begins with ``head`` is a LAS or LAZ file."""
    return head.startswith(MAGIC)


def open_points(path: Path) -> CloudFile:
    """The points of a LAS or LAZ file.

    Raises:
        FormatError: the package that reads it is missing, or its header declares more than the file contains.
    """
    count = _checked_count(path)
    laspy = optional("laspy", "las", path)
    optional("lazrs", "las", path)
    return CloudFile("LAS", count, lambda: _pieces(laspy, path, count))


def _checked_count(path: Path) -> int:
    """The number of points, after checking the sizes in the header against the file size."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(_HEADER_14)
        if len(head) < _LEAST_HEADER:
            raise FormatError(f"{path} is truncated: it ends within its header")
        header_bytes, start, vlrs, kind, point_bytes, count = _SIZES.unpack_from(head, _SIZES_AT)
        if header_bytes >= _HEADER_14 and len(head) == _HEADER_14:
            count = _COUNT_14.unpack_from(head, _COUNT_14_AT)[0] or count
        if not _LEAST_HEADER <= header_bytes <= start <= size or vlrs * _VLR_BYTES > start - header_bytes:
            raise FormatError(f"{path} has a header whose sizes do not fit its {size} bytes; it is damaged")
        if kind & _COMPRESSED_BIT:
            _check_chunks(path, handle, start, size)
        elif point_bytes < _LEAST_POINT_BYTES or count * point_bytes > size - start:
            raise FormatError(
                f"{path} declares {count} points of {point_bytes} bytes, but holds {size - start} bytes of "
                "them; it is truncated or its count is wrong"
            )
    return count


def _check_chunks(path: Path, handle: Any, start: int, size: int) -> None:
    """Reject a chunk table with more compressed chunks than the file has room for."""
    handle.seek(start)
    (table,) = struct.unpack("<q", handle.read(8).ljust(8, b"\0"))
    if table == -1:
        # Streaming writers put the offset at the end of the file.
        handle.seek(max(size - 8, 0))
        (table,) = struct.unpack("<q", handle.read(8).ljust(8, b"\0"))
    if not start + 8 <= table <= size - _CHUNK_TABLE.size:
        raise FormatError(f"{path} is truncated: the table of its compressed points lies beyond its end")
    handle.seek(table)
    _, chunks = _CHUNK_TABLE.unpack(handle.read(_CHUNK_TABLE.size))
    # The first point of a chunk is not compressed.
    if chunks * _LEAST_POINT_BYTES > size:
        raise FormatError(f"{path} declares {chunks} chunks of points in {size} bytes; it is damaged")


def _pieces(laspy: Any, path: Path, count: int) -> Generator[MeasuredCloud, None, None]:
    read = 0
    try:
        # Records after the points may have any length and are not needed.
        # The multi-threaded backend allocates memory by untrusted chunk sizes.
        with laspy.open(path, read_evlrs=False, laz_backend=laspy.LazBackend.Lazrs) as reader:
            names = set(reader.header.point_format.dimension_names)
            piece = max(1, min(PIECE_POINTS, _PIECE_BYTES // reader.header.point_format.size))
            for points in reader.chunk_iterator(piece):
                read += len(points)
                yield _measured(points, names)
    except GeneratorExit:
        raise
    except BaseException as error:
        # The Rust decompressor panics on some damaged files; its PanicException is not an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:120]
        raise FormatError(
            f"{path} is damaged or truncated after {read} of {count} points: {reason}"
        ) from None
    if read != count:
        raise FormatError(f"{path} is truncated: it declares {count} points and holds {read}")


def _measured(points: Any, names: set[str]) -> MeasuredCloud:
    xyz = np.stack([np.asarray(points[axis], np.float64) for axis in "xyz"], axis=1)
    rgb = _column(points, names, ("red", "green", "blue"))
    return MeasuredCloud(
        xyz,
        # All zero if a program writes a format with colours for points without.
        rgb,
        _column(points, names, ("intensity",)),
        up=_Z_UP,
    )


def _column(points: Any, names: set[str], wanted: tuple[str, ...]) -> np.ndarray | None:
    if not names >= set(wanted):
        return None
    return np.stack([np.asarray(points[name], np.float32) for name in wanted], axis=1)
