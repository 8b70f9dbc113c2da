"""The two containers of `.spz` files: headers, and the bytes of each attribute.

Only as much is decompressed as the header declares, and a header that declares too much for the size of the
file is refused.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from sfumato.errors import FormatError
from sfumato.scene.files import spz_fields as fields
from sfumato.scene.files.spz_packing import (
    Gzip,
    Plain,
    exactly,
    in_threads,
    write_gzip,
    zstd_packed,
    zstd_pieces,
)

MAGIC = b"NGSP"
ANTIALIASED, EXTENDED = 1, 2
MAX_DEGREE_IN_FILE = 4
MAX_FRACTIONAL_BITS = 24
# Real scenes compress to a third. Higher compression ratios than this are accepted for small files only:
# others could exhaust memory.
MAX_RATIO, SMALL_BYTES = 64, 64 * 1024 * 1024
# Deflate reaches at most 1032 to 1.
MOST_RATIO = 1100
MAX_EXTENSION_BYTES = 64 * 1024
COORDINATE_SYSTEM = 0xADBE0003
BLOCK = 65536

_HEADER = struct.Struct("<4sIIBBBB")
_HEADER_4 = struct.Struct("<4sIIBBBBI12x")
_STREAM = struct.Struct("<QQ")
_EXTENSION = struct.Struct("<II")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpzHeader:
    """The header of a file.

    Attributes:
        version: 1 to 4.
        count: number of Gaussians.
        degree: of the SH in the file, 0 to 4.
        fractional_bits: of 24-bit positions.
        flags: ANTIALIASED, EXTENDED.
    """

    version: int
    count: int
    degree: int
    fractional_bits: int
    flags: int

    @property
    def widths(self) -> dict[str, int]:
        """Bytes of one Gaussian in each non-empty attribute."""
        widths = fields.widths(self.version, self.degree)
        return {name: width for name, width in widths.items() if width}

    @property
    def blocks(self) -> list[slice]:
        """Ranges of Gaussians that are processed at a time."""
        return [slice(i, min(i + BLOCK, self.count)) for i in range(0, self.count, BLOCK)]


Blocks = Iterator[tuple[str, slice, bytes]]


def open_stream(
    path: Path, kind: type[Gzip] | type[Plain], handle: BufferedReader
) -> tuple[SpzHeader, Blocks, Callable[[], bytes]]:
    """Open a file of version 1 to 3.

    Args:
        path: named in errors.
        kind: Gzip, or Plain for a file that is not compressed.
        handle: the open file, at its start.

    Returns:
        Its header; an iterator over the blocks of its attributes; and a function that returns its extensions
        once all blocks are read.

    Raises:
        FormatError: it is not an `.spz` file, is truncated, or larger than it declares.
    """
    source = kind(path, handle)
    magic, version, *numbers, _ = _HEADER.unpack(exactly(path, source.read(_HEADER.size), _HEADER.size))
    if magic != MAGIC:
        raise FormatError(f"{path} is not a .spz file: what it holds does not begin with NGSP")
    if version not in (1, 2, 3):
        raise FormatError(f"{path} is of version {version} of .spz within gzip; known are 1, 2 and 3")
    header = _checked(path, SpzHeader(version, *numbers))

    def blocks() -> Blocks:
        for name, width in header.widths.items():
            for part in header.blocks:
                yield name, part, source.read((part.stop - part.start) * width)

    return header, blocks(), lambda: source.rest(MAX_EXTENSION_BYTES if header.flags & EXTENDED else 0)


def open_4(path: Path, handle: BufferedReader) -> tuple[SpzHeader, Blocks, Callable[[], bytes]]:
    """Open a file of version 4; arguments and result are those of ``open_stream``."""
    size = path.stat().st_size
    head = exactly(path, handle.read(_HEADER_4.size), _HEADER_4.size)
    _, version, count, degree, bits, flags, num_streams, table_at = _HEADER_4.unpack(head)
    if version != 4:
        raise FormatError(f"{path} is of version {version} of .spz; known are 1 to 4")
    header = _checked(path, SpzHeader(version, count, degree, bits, flags))
    names = list(header.widths) if count else []
    if num_streams != len(names):
        raise FormatError(f"{path} has {num_streams} streams where its Gaussians take {len(names)}")
    if not _HEADER_4.size <= table_at <= min(_HEADER_4.size + MAX_EXTENSION_BYTES, size):
        raise FormatError(f"{path} has its table at byte {table_at}, where it cannot be")
    extensions = handle.read(table_at - _HEADER_4.size)
    table = exactly(path, handle.read(_STREAM.size * num_streams), _STREAM.size * num_streams)
    sizes = dict(zip(names, _STREAM.iter_unpack(table), strict=True))
    if table_at + len(table) + sum(packed for packed, _ in sizes.values()) != size:
        raise FormatError(f"{path} has {size} bytes, which is not what its table of streams adds up to")
    for name, (_, unpacked) in sizes.items():
        if unpacked != count * header.widths[name]:
            raise FormatError(f"{path} declares {unpacked} bytes of {name} for {count} Gaussians")

    def blocks() -> Blocks:
        for name, (packed, unpacked) in sizes.items():
            width = header.widths[name]
            lengths = ((part.stop - part.start) * width for part in header.blocks)
            pieces = zstd_pieces(path, exactly(path, handle.read(packed), packed), lengths, unpacked)
            for part, piece in zip(header.blocks, pieces, strict=True):
                yield name, part, piece

    return header, blocks(), lambda: extensions if flags & EXTENDED else b""


def _checked(path: Path, header: SpzHeader) -> SpzHeader:
    if header.degree > MAX_DEGREE_IN_FILE:
        raise FormatError(f"{path} has SH of degree {header.degree}; known are 0 to {MAX_DEGREE_IN_FILE}")
    if header.version > 1 and header.fractional_bits > MAX_FRACTIONAL_BITS:
        raise FormatError(f"{path} has positions with {header.fractional_bits} of 24 bits after the point")
    size = path.stat().st_size
    needed = header.count * sum(header.widths.values())
    if needed > max(MAX_RATIO * size, min(SMALL_BYTES, MOST_RATIO * size)):
        raise FormatError(
            f"{path} declares {header.count} Gaussians, {needed} bytes, in a file of {size}: "
            "it is truncated or its count is wrong"
        )
    return header


def write_stream(path: Path, header: SpzHeader, pack: Callable[[str, slice], Callable[[], bytes]]) -> None:
    """Write a file of version 2 or 3; ``pack`` returns a function that gives a block of an attribute."""
    numbers = (header.version, header.count, header.degree, header.fractional_bits, header.flags, 0)
    head = _HEADER.pack(MAGIC, *numbers)
    write_gzip(path, [lambda: head, *(pack(name, part) for name in header.widths for part in header.blocks)])


def write_4(path: Path, header: SpzHeader, pack: Callable[[str, slice], Callable[[], bytes]]) -> None:
    """Write a file of version 4; ``pack`` returns a function that gives a block of an attribute."""
    widths = header.widths if header.count else {}

    def stream(name: str) -> bytes:
        return zstd_packed((pack(name, part) for part in header.blocks), header.count * widths[name])

    streams = list(in_threads(stream, widths))
    numbers = (header.count, header.degree, header.fractional_bits, header.flags, len(streams))
    with path.open("wb") as handle:
        handle.write(_HEADER_4.pack(MAGIC, 4, *numbers, _HEADER_4.size))
        for name, data in zip(widths, streams, strict=True):
            handle.write(_STREAM.pack(len(data), header.count * widths[name]))
        for data in streams:
            handle.write(data)


def axes_code(path: Path, extensions: bytes) -> int:
    """The code of the file's axes from its extensions; other extensions are ignored with a warning."""
    code, at, others = fields.AXES_RUB, 0, set()
    while at < len(extensions):
        kind, size = _EXTENSION.unpack(extensions[at : at + 8].ljust(8, b"\xff"))
        data = extensions[at + 8 : at + 8 + size]
        if len(data) < size:
            raise FormatError(f"{path} has a broken extension at byte {at} of {len(extensions)}")
        at += 8 + size
        if kind != COORDINATE_SYSTEM:
            others.add(f"0x{kind:08X}")
        elif size == 4 and int.from_bytes(data, "little") <= 16:
            # 0 means unspecified: the default axes.
            code = int.from_bytes(data, "little") or fields.AXES_RUB
        else:
            raise FormatError(f"{path} names axes that are not known")
    if others:
        shown = ", ".join(sorted(others)[:4])
        _log.warning("%s has %d extensions that are left aside: %s", path, len(others), shown)
    return code
