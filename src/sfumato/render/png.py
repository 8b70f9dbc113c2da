"""8-bit images and in-memory PNG encoding, without an imaging library."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import torch
from torch import Tensor

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Bits per sample, RGB, deflate, filtered per row, not interlaced.
_RGB8 = (8, 2, 0, 0, 0)
# Each sample minus the one to the left of it: photographs then shrink to about half.
_FILTER_LEFT = 1


def to_uint8(image: Tensor) -> np.ndarray:
    """Round an image [h, w, 3] of values in [0, 1] to uint8 [h, w, 3]; what lies outside is clamped."""
    return (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def to_png(pixels: np.ndarray) -> bytes:
    """Encode an RGB picture as PNG.

    Args:
        pixels: uint8 [h, w, 3].

    Returns:
        The bytes of the file.

    Source:
        PNG specification, third edition, sections 5 (chunks), 9 (filters) and 11.2 (IHDR, IDAT, IEND).
    """
    height, width, _ = pixels.shape
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = _FILTER_LEFT
    rows[:, 1:4] = pixels[:, 0]
    rows[:, 4:] = (pixels[:, 1:] - pixels[:, :-1]).reshape(height, -1)  # modulo 256, as PNG defines it
    header = struct.pack(">2I5B", width, height, *_RGB8)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
