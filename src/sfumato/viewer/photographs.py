"""Photographs for the page: downscaled, and thumbnails on one sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

THUMBNAIL_PX = 128
# Size budget for the photographs of a page; the more there are, the smaller each is.
_IN_PAGE_BYTES = 12e6
_BYTES_A_PIXEL = 0.16
_SIDES_IN_PAGE_PX = (320, 1280)
# Browsers on phones support textures of at least this size.
SHEET_PX = 4096


def side_px_in_page(sizes_px: Sequence[tuple[int, int]]) -> int:
    """The longer side for which photographs of some (width, height) fit into their size budget."""
    shape = sum(min(size_px) / max(size_px) for size_px in sizes_px)
    side = math.sqrt(_IN_PAGE_BYTES / (_BYTES_A_PIXEL * shape))
    least, most = _SIDES_IN_PAGE_PX
    return int(min(max(side, least), most))


def shrunk(pixels: np.ndarray, side_px: int) -> np.ndarray:
    """Downscale a picture uint8 [h, w, 3] whose longer side exceeds ``side_px``."""
    if max(pixels.shape[:2]) <= side_px:
        return pixels
    picture = Image.fromarray(pixels)
    # reducing_gap: most of the reduction is done by a cheap average.
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(picture)


def resized(pixels: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """Resize a picture uint8 [h, w, 3] to (width, height); smaller sizes by area average."""
    picture = Image.fromarray(pixels)
    shrinks = size_px[0] <= picture.width and size_px[1] <= picture.height
    filter = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(picture.resize(size_px, filter))


def to_jpeg(pixels: np.ndarray, *, quality: int = 85) -> bytes:
    """Encode a picture uint8 [h, w, 3] with a quality up to 95."""
    out = io.BytesIO()
    # Chroma is not subsampled at the highest quality.
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=0 if quality >= 95 else 2)
    return out.getvalue()


class Sheet:
    """One picture with the thumbnails of many.

    ``places`` are (x, y, width, height) of each thumbnail in pixels of the sheet, and ``size_px`` is the
    (width, height) of the sheet.

    Args:
        sizes_px: (width, height) of the pictures.
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
        """Encode the sheet."""
        return to_jpeg(np.asarray(self._image), quality=78)
