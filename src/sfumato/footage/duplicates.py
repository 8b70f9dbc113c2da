"""Detection of duplicate photographs, also re-encoded or downscaled ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from sfumato.footage.photos import THUMBNAIL_PX, Photo

_COARSE_PX = 32
_MAX_COARSE = 6.0
_MAX_FINE = 6.0
_MIN_DETAIL_CORRELATION = 0.95
_MIN_DETAIL = 0.5
_SHAPE = 0.02


def duplicates(photos: Sequence[Photo]) -> dict[int, int]:
    """Index of each photograph to drop -> index of its duplicate that is kept.

    Of duplicates the largest is kept, and of equally large ones the first. Two photographs are duplicates if
    their files are identical, or if their luma and its fine detail agree pixel by pixel: even a small camera
    motion shifts detail.
    """
    order = sorted(range(len(photos)), key=lambda i: (-photos[i].size_px[0] * photos[i].size_px[1], i))
    coarse = np.stack([_coarse(photo.thumbnail) for photo in photos]) if photos else np.zeros((0, 1))
    same_as: dict[int, int] = {}
    kept: list[int] = []
    by_digest: dict[bytes, int] = {}
    for i in order:
        twin = by_digest.get(photos[i].digest)
        if twin is None and kept:
            near = np.abs(coarse[kept] - coarse[i]).mean(axis=1) < _MAX_COARSE
            candidates = (kept[at] for at in np.flatnonzero(near))
            twin = next((j for j in candidates if _are_duplicates(photos[i], photos[j])), None)
        if twin is None:
            kept.append(i)
            by_digest[photos[i].digest] = i
        else:
            same_as[i] = twin
    return dict(sorted(same_as.items()))


def _coarse(thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
    factor = THUMBNAIL_PX // _COARSE_PX
    cells = thumbnail.reshape(_COARSE_PX, factor, _COARSE_PX, factor)
    return cells.mean(axis=(1, 3), dtype=np.float32).ravel()


def _are_duplicates(one: Photo, other: Photo) -> bool:
    shapes = [photo.size_px[0] / photo.size_px[1] for photo in (one, other)]
    if abs(shapes[0] / shapes[1] - 1.0) > _SHAPE:
        return False
    a, b = one.thumbnail.astype(np.float32), other.thumbnail.astype(np.float32)
    if float(np.abs(a - b).mean()) > _MAX_FINE:
        return False
    detail_a, detail_b = a - uniform_filter(a, 5), b - uniform_filter(b, 5)
    strength = float(np.sqrt((detail_a**2).mean() * (detail_b**2).mean()))
    if strength < _MIN_DETAIL:
        # Without texture there is no detail to compare.
        return bool(np.abs(a - b).max() < 4.0)
    return float((detail_a * detail_b).mean()) / strength > _MIN_DETAIL_CORRELATION
