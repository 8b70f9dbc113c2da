"""The lossless WebP images of `.sog` scenes, checked for their declared size."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from sfumato.errors import FormatError

MAX_SIDE = 16383
# Effort and method: higher values take several times as long and save a few per cent of the size.
_EFFORT, _METHOD = 20, 4
_MOST_CHUNKS = 64


def decode(data: bytes, what: str, most_pixels: int) -> np.ndarray:
    """Decode a lossless WebP picture.

    Args:
        data: the file.
        what: named in errors.
        most_pixels: maximum number of pixels.

    Returns:
        [h, w, 4] uint8 red, green, blue, alpha; not multiplied by alpha.

    Raises:
        FormatError: it is not a lossless WebP image, too large, or broken.
    """
    width, height = webp_size(data, what)
    if width * height > most_pixels:
        raise FormatError(f"{what} has {width} x {height} pixels where {most_pixels} are the most")
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as picture:
            if picture.size != (width, height) or getattr(picture, "n_frames", 1) != 1:
                raise FormatError(f"{what} is not a single WebP picture of {width} x {height} pixels")
            return np.array(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise FormatError(f"{what} is a broken WebP picture: {error}") from error


def webp_size(data: bytes, what: str) -> tuple[int, int]:
    """Width and height of a lossless WebP picture, read without decoding it.

    Raises:
        FormatError: it is not a WebP image, or a lossy one, whose values would be wrong.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise FormatError(f"{what} is not a WebP picture")
    at, canvas = 12, None
    for _ in range(_MOST_CHUNKS):
        kind, head = data[at : at + 4], data[at + 8 : at + 18]
        if len(head) < 5:
            break
        if kind == b"VP8L" and head[0] == 0x2F:
            bits = int.from_bytes(head[1:5], "little")
            size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            if canvas not in (None, size):
                raise FormatError(f"{what} has a picture of {size} on a canvas of {canvas} pixels")
            return size
        if kind in (b"VP8 ", b"ALPH"):
            raise FormatError(f"{what} is a lossy WebP picture; what it held is lost")
        if kind == b"VP8X" and len(head) == 10:
            canvas = 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
        (length,) = struct.unpack_from("<I", data, at + 4)
        at += 8 + length + length % 2
    raise FormatError(f"{what} is a WebP picture without lossless contents")


def encode(pixels: np.ndarray) -> bytes:
    """A lossless WebP image of [h, w, 3 or 4] uint8; colours are kept even where alpha is zero."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(buffer, "WEBP", lossless=True, quality=_EFFORT, method=_METHOD, exact=True)
    return buffer.getvalue()
