"""The `.g2d` file: integer codes of 2D Gaussians, each column compressed separately.

Little-endian: magic and version; centre bits; width, height and count; the background; bits of each column
after the centre, then low and high of each; CRC-32 of the rest; then kind and length of each plane, and all
planes. The Gaussians are sorted along a Morton curve, and their centres are stored as differences of Morton
codes, in four byte planes. Every other column is one plane. A plane is deflated, either directly or as
differences of neighbours, whichever is shorter; a plane of zeros has length 0.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.fitting.ellipses_2d import CENTRE, COLUMNS
from sfumato.fitting.quantiser import LIMIT, LIMITS, MOST_CENTRE_BITS, Quantiser

SUFFIX = ".g2d"
MAGIC = b"SG2D"
VERSION = 1
# More pixels or Gaussians than this are rejected before anything is allocated.
MAX_PIXELS = 1 << 26
MAX_COUNT = 1 << 22

_COLUMNS = COLUMNS - CENTRE.stop
_HEAD = struct.Struct(f"<4sBB3I3B{_COLUMNS}B{2 * _COLUMNS}eI")
# Planes: the bytes of a 32-bit Morton code, then the columns.
_CODE_BYTES = 4
_PLANES = _CODE_BYTES + _COLUMNS
_TABLE = struct.Struct(f"<{_PLANES}I")
_PLAIN, _DIFFERENCES = 0, 1
# Deflate without a header.
_RAW = -15
# Largest expansion ratio of deflate.
_MOST_EXPANSION = 1032


@dataclass(frozen=True)
class CodedImage:
    """The content of a `.g2d` file.

    Attributes:
        quantiser: maps codes to values.
        background: RGB, 0 to 255.
        codes: [n, 9] int64, along a Morton curve.
    """

    quantiser: Quantiser
    background: tuple[int, int, int]
    codes: np.ndarray


def in_morton_order(codes: np.ndarray) -> np.ndarray:
    """The order of rows [n, 9] along the Morton curve of their centres; ties by the other columns."""
    return np.lexsort((*codes[:, CENTRE.stop :].T, _morton(codes)))


def encode(content: CodedImage) -> bytes:
    """Encode a file."""
    quantiser, codes = content.quantiser, content.codes
    steps = np.diff(_morton(codes), prepend=np.uint32(0)).astype("<u4")
    planes = [*steps.view(np.uint8).reshape(-1, _CODE_BYTES).T, *codes[:, CENTRE.stop :].T.astype(np.uint8)]
    packed = [_packed(plane) for plane in planes]
    table = _TABLE.pack(*(kind << 31 | len(data) for kind, data in packed))
    rest = table + b"".join(data for _, data in packed)
    ends = [end for pair in zip(quantiser.low, quantiser.high, strict=True) for end in pair]
    head = _HEAD.pack(
        MAGIC, VERSION, quantiser.centre_bits, *quantiser.size_px, len(codes), *content.background,
        *quantiser.bits, *ends, zlib.crc32(rest),
    )  # fmt: skip
    return head + rest


def decode(data: bytes, name: str) -> CodedImage:
    """Decode a file.

    Args:
        data: the whole file.
        name: of the file, for errors.

    Raises:
        FormatError: it is damaged, too large, or not a `.g2d` file.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise FormatError(f"{name} is not a {SUFFIX} file; give an image to make one from it")
    if data[len(MAGIC) : len(MAGIC) + 1] not in (b"", bytes([VERSION])):
        raise FormatError(f"{name} is of version {data[len(MAGIC)]}, this program reads {VERSION}; update it")
    if len(data) < _HEAD.size + _TABLE.size:
        raise FormatError(f"{name} is cut off in its header; get a whole copy")
    _, _, centre_bits, width, height, count, *values, checksum = _HEAD.unpack_from(data)
    background, bits, ends = values[:3], values[3 : 3 + _COLUMNS], values[3 + _COLUMNS :]
    if not (width and height and width * height <= MAX_PIXELS):
        raise FormatError(f"{name} says {width} x {height} px; at most {MAX_PIXELS:,} pixels are read")
    if not 1 <= count <= min(MAX_COUNT, len(data) * _MOST_EXPANSION):
        raise FormatError(f"{name} says {count:,} Gaussians, which {len(data):,} bytes cannot hold")
    quantiser = Quantiser((width, height), centre_bits, tuple(bits), tuple(ends[::2]), tuple(ends[1::2]))
    _check(quantiser, name)
    rest = data[_HEAD.size :]
    entries = _TABLE.unpack_from(rest)
    lengths = [entry & 0x7FFFFFFF for entry in entries]
    if _TABLE.size + sum(lengths) != len(rest) or zlib.crc32(rest) != checksum:
        raise FormatError(f"{name} is damaged: length or checksum is wrong; get a whole copy")
    planes, start = [], _TABLE.size
    for entry, length in zip(entries, lengths, strict=True):
        planes.append(_unpacked(rest[start : start + length], entry >> 31, count, name))
        start += length
    steps = np.ascontiguousarray(np.stack(planes[:_CODE_BYTES], axis=1)).view("<u4")[:, 0]
    centres = _centres(np.cumsum(steps.astype(np.uint64)), name)
    codes = np.column_stack([centres, *planes[_CODE_BYTES:]]).astype(np.int64)
    last = [int(side / quantiser.step_px - 0.5) for side in (width, height)] + [(1 << b) - 1 for b in bits]
    if (codes > last).any():
        raise FormatError(f"{name} is damaged: a value is out of its range; get a whole copy")
    return CodedImage(quantiser, (background[0], background[1], background[2]), codes)


def read(path: Path) -> CodedImage:
    """Read a file; see ``decode``."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FormatError(f"cannot read {path}: {reason}; check the name") from None


def _check(quantiser: Quantiser, name: str) -> None:
    if not 1 <= quantiser.centre_bits <= MOST_CENTRE_BITS or not all(1 <= b <= 8 for b in quantiser.bits):
        raise FormatError(f"{name} is damaged: its numbers of bits are out of range; get a whole copy")
    for k, (low, high) in enumerate(zip(quantiser.low, quantiser.high, strict=True)):
        limit = LIMITS.get(CENTRE.stop + k, LIMIT)
        # NaN fails every comparison.
        if not -limit <= low < high <= limit:
            raise FormatError(f"{name} is damaged: a column has the range {low} to {high}; get a whole copy")


def _packed(plane: np.ndarray) -> tuple[int, bytes]:
    if not plane.any():
        return _PLAIN, b""
    found = []
    for kind, values in ((_PLAIN, plane), (_DIFFERENCES, np.diff(plane, prepend=np.uint8(0)))):
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY):
            packer = zlib.compressobj(9, wbits=_RAW, memLevel=9, strategy=strategy)
            found.append((kind, packer.compress(values.tobytes()) + packer.flush()))
    return min(found, key=lambda pair: len(pair[1]))


def _unpacked(data: bytes, kind: int, count: int, name: str) -> np.ndarray:
    if not data:
        return np.zeros(count, np.uint8)
    unpacker = zlib.decompressobj(wbits=_RAW)
    try:
        # One byte more than expected, to detect excess data.
        values = np.frombuffer(unpacker.decompress(data, count + 1), np.uint8)
    except zlib.error:
        values = np.zeros(0, np.uint8)
    if len(values) != count or not unpacker.eof or unpacker.unused_data:
        raise FormatError(f"{name} is damaged: a column does not hold {count:,} values; get a whole copy")
    return np.cumsum(values, dtype=np.uint8) if kind == _DIFFERENCES else values


def _morton(codes: np.ndarray) -> np.ndarray:
    """Interleaved bits of x and y, uint32."""
    x, y = (_spread(codes[:, axis].astype(np.uint32)) for axis in (0, 1))
    return x | y << np.uint32(1)


def _centres(morton: np.ndarray, name: str) -> np.ndarray:
    """[n, 2] centres of Morton codes."""
    if morton[-1] >> np.uint64(32):
        raise FormatError(f"{name} is damaged: a centre is out of range; get a whole copy")
    return np.stack([_gathered(morton.astype(np.uint32) >> np.uint32(axis)) for axis in (0, 1)], axis=1)


# Shifts and masks that spread 16 adjacent bits to every other one of 32 bits, and back.
_SPREADING = ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555))
_GATHERING = ((1, 0x33333333), (2, 0x0F0F0F0F), (4, 0x00FF00FF), (8, 0x0000FFFF))


def _spread(numbers: np.ndarray) -> np.ndarray:
    """16-bit numbers with a zero inserted before each bit."""
    for shift, mask in _SPREADING:
        numbers = (numbers | numbers << np.uint32(shift)) & np.uint32(mask)
    return numbers


def _gathered(numbers: np.ndarray) -> np.ndarray:
    """Gather every other bit, starting at the lowest: the inverse of ``_spread``."""
    numbers = numbers & np.uint32(0x55555555)
    for shift, mask in _GATHERING:
        numbers = (numbers | numbers >> np.uint32(shift)) & np.uint32(mask)
    return numbers
