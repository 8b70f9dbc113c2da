"""Photographs for the page: downscaled, and thumbnails on one sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

THUMBNAIL_PX = 128
# Browsers on phones take textures of this size at least.
SHEET_PX = 4096


def shrunk(pixels: np.ndarray, side_px: int) -> np.ndarray:
    """A picture uint8 [h, w, 3] whose longer side is ``side_px`` at most."""
    if max(pixels.shape[:2]) <= side_px:
        return pixels
    picture = Image.fromarray(pixels)
    # reducing_gap: most of the way is a cheap average.
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(picture)


def resized(pixels: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """A picture uint8 [h, w, 3] at another (width, height); shrunk by area average."""
    picture = Image.fromarray(pixels)
    shrinks = size_px[0] <= picture.width and size_px[1] <= picture.height
    filter = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(picture.resize(size_px, filter))


def to_jpeg(pixels: np.ndarray, *, quality: int = 85) -> bytes:
    """Encode a picture uint8 [h, w, 3] with a quality up to 95."""
    out = io.BytesIO()
    # Colours are kept as sharp as lightness where it shall be as good as can be.
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=0 if quality >= 95 else 2)
    return out.getvalue()


class Sheet:
    """One picture that holds a thumbnail of many.

    Args:
        sizes_px: (width, height) of the pictures. ``places`` are (x, y, width, height) of each thumbnail,
            in pixels of the sheet, whose own (width, height) are ``size_px``.
    """

    def __init__(self, sizes_px: Sequence[tuple[int, int]]) -> None:
        cell = min(THUMBNAIL_PX, SHEET_PX // math.ceil(math.sqrt(max(len(sizes_px), 1))))
        columns = min(len(sizes_px), SHEET_PX // cell)
        self.places: list[tuple[int, int, int, int]] = []
        for index, size_px in enumerate(sizes_px):
            scale = cell / max(size_px)
            width, height = (max(1, math.floor(side * scale)) for side in size_px)
            self.places.append(((index % columns) * cell, (index // columns) * cell, width, height))
        rows = math.ceil(len(sizes_px) / max(columns, 1))
        self.size_px = (max(columns, 1) * cell, max(rows, 1) * cell)
        self._image = Image.new("RGB", self.size_px)

    def put(self, index: int, pixels: np.ndarray) -> None:
        """Draw the thumbnail of picture ``index`` from its pixels, uint8 [h, w, 3]."""
        x, y, width, height = self.places[index]
        small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
        self._image.paste(small, (x, y))

    def to_jpeg(self) -> bytes:
        """The sheet, encoded."""
        return to_jpeg(np.asarray(self._image), quality=78)
