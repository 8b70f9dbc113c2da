"""Processing of pictures in strips of rows: a whole picture in floats may take gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

STRIP_BYTES = 1 << 24
"""Approximate size of one strip of uint8 pixels."""


class Strips(Protocol):
    """A picture that is read in strips of rows."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """uint8 [bottom - top, width, channels]."""


@dataclass(frozen=True)
class ArrayStrips:
    """A picture in memory, uint8 [h, w, d]."""

    picture: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.picture.shape

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Its rows, not copied."""
        return self.picture[top:bottom]


def strips_of(height: int, row_bytes: float) -> Iterator[tuple[int, int]]:
    """(top, bottom) of strips that cover ``height`` rows, each of about ``STRIP_BYTES``."""
    step = max(1, int(STRIP_BYTES / row_bytes))
    return ((top, min(height, top + step)) for top in range(0, height, step))


def whole(picture: Strips) -> np.ndarray:
    """All of a picture, uint8 [h, w, d]."""
    height, width, channels = picture.shape
    pixels = np.empty(picture.shape, np.uint8)
    for top, bottom in strips_of(height, width * channels):
        pixels[top:bottom] = picture.rows(top, bottom)
    return pixels
