"""The `.g2d` file: known values, round trips, and hostile files."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from sfumato.errors import FormatError
from sfumato.fitting.g2d_file import CodedImage, decode, encode, in_morton_order
from sfumato.fitting.quantiser import BITS, Quantiser

# Magic, version and bits of the centre; width, height, count; background; then bits, ranges and checksum.
HEAD_BYTES = 4 + 2 + 12 + 3 + 7 + 28 + 4
TABLE_BYTES = 4 * 11
QUANTISER = Quantiser((40, 20), 8, BITS, (-1.0,) * 7, (2.0,) * 7)


def some(count, seed=0):
    """Random codes within the ranges of QUANTISER, in the order of the file."""
    tops = [256, 128, *(1 << bits for bits in BITS)]
    codes = np.random.default_rng(seed).integers(0, tops, (count, 9))
    return CodedImage(QUANTISER, (10, 20, 30), codes[in_morton_order(codes)])


def test_a_file_of_two_gaussians_has_the_bytes_that_are_documented():
    codes = np.array([[1, 0, 5, 0, 0, 0, 0, 0, 0], [2, 3, 7, 0, 0, 0, 0, 0, 0]])
    data = encode(CodedImage(QUANTISER, (10, 20, 30), codes))
    head = struct.pack("<4sBB3I3B7B", b"SG2D", 1, 8, 40, 20, 2, 10, 20, 30, *BITS)
    assert data.startswith(head + struct.pack("<14e", *(-1.0, 2.0) * 7))
    assert struct.unpack_from("<I", data, HEAD_BYTES - 4)[0] == zlib.crc32(data[HEAD_BYTES:])
    entries = struct.unpack_from("<11I", data, HEAD_BYTES)
    lengths = [entry & 0x7FFFFFFF for entry in entries]
    # Only the lowest byte of the Morton codes and the first column are not zero.
    assert [k for k, length in enumerate(lengths) if length] == [0, 4]
    rest, planes = data[HEAD_BYTES + TABLE_BYTES :], []
    for length in (lengths[0], lengths[4]):
        planes.append(zlib.decompress(rest[:length], wbits=-15))
        rest = rest[length:]
    # x = 1, y = 0 is code 1; x = 0b10, y = 0b11 is 0b1110 = 14, 13 more.
    differences = [
        np.cumsum(list(p)) if e >> 31 else list(p) for p, e in zip(planes, entries[::4], strict=False)
    ]
    assert list(differences[0]) == [1, 13] and list(differences[1]) == [5, 7] and not rest


@pytest.mark.parametrize("count", [1, 2, 500])
def test_round_trip(count):
    content = some(count)
    found = decode(encode(content), "a file")
    assert found.quantiser == content.quantiser and found.background == content.background
    assert np.array_equal(found.codes, content.codes)


def test_sorted_centres_take_fewer_bits_than_centres():
    content = some(4000)
    bits = 8 * (len(encode(content)) - HEAD_BYTES - TABLE_BYTES)
    # 15 bits per centre; the order of 4000 centres saves log2(4000) - 1.44 = 10.5 bits each.
    assert bits < 4000 * (sum(BITS) + 15 - 8)


@pytest.mark.parametrize("at", range(0, HEAD_BYTES + TABLE_BYTES, 3))
def test_changed_header_bytes_are_refused_or_harmless(at):
    data = bytearray(encode(some(50)))
    data[at] ^= 0xFF
    try:
        found = decode(bytes(data), "a file")
    except FormatError as error:
        assert str(error).startswith("a file") and "\n" not in str(error)
    else:
        # Size, background and ranges are not covered by the checksum, so other valid values are accepted.
        assert len(found.codes) == 50 and np.isfinite(found.quantiser.low).all()


@pytest.mark.parametrize("keep", [0, 3, 5, 30, HEAD_BYTES, HEAD_BYTES + TABLE_BYTES, -1])
def test_a_file_that_is_cut_off_is_refused(keep):
    with pytest.raises(FormatError, match="a file"):
        decode(encode(some(50))[:keep], "a file")


def test_more_bytes_than_the_file_says_are_refused():
    with pytest.raises(FormatError, match="length or checksum"):
        decode(encode(some(50)) + b"\0", "a file")


@pytest.mark.parametrize(
    "offset, value, words",
    [
        (6, struct.pack("<2I", 2**31, 2**31), "at most"),
        (6, struct.pack("<2I", 0, 5), "at most"),
        (14, struct.pack("<I", 2**32 - 1), "cannot hold"),
        (14, struct.pack("<I", 0), "cannot hold"),
        (5, b"\x21", "numbers of bits"),
        (21, b"\x09", "numbers of bits"),
        (28, struct.pack("<e", np.nan), "range"),
        (30, struct.pack("<e", np.inf), "range"),
        (28, struct.pack("<2e", 1.0, 1.0), "range"),
        (4, b"\x02", "of version 2"),
    ],
)
def test_sizes_and_ranges_are_checked_before_allocation(offset, value, words):
    data = bytearray(encode(some(50)))
    data[offset : offset + len(value)] = value
    with pytest.raises(FormatError, match=words):
        decode(bytes(data), "a file")


def with_plane(data, plane):
    """A file with another first plane and a valid checksum."""
    head, entries = data[: HEAD_BYTES - 4], list(struct.unpack_from("<11I", data, HEAD_BYTES))
    rest = data[HEAD_BYTES + TABLE_BYTES + (entries[0] & 0x7FFFFFFF) :]
    rest = struct.pack("<11I", len(plane), *entries[1:]) + plane + rest
    return head + struct.pack("<I", zlib.crc32(rest)) + rest


def deflated(values):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(values) + packer.flush()


@pytest.mark.parametrize(
    "plane", [deflated(bytes(10**7)), deflated(bytes(49)), b"\xff\xff", deflated(bytes(50)) + b"x"]
)
def test_a_plane_of_another_length_is_refused(plane):
    with pytest.raises(FormatError, match="does not hold 50 values"):
        decode(with_plane(encode(some(50)), plane), "a file")


def test_a_centre_outside_the_image_is_refused():
    content = some(50)
    outside = replace(content.quantiser, size_px=(40, 10))
    with pytest.raises(FormatError, match="out of its range"):
        decode(encode(replace(content, quantiser=outside)), "a file")
