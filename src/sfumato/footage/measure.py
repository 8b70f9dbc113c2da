"""Measurements of small grey pictures: sharpness, brightness and motion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import uniform_filter1d

LUMA_SIDE_PX = 640
"""Longest side of the pictures that are measured: small enough to be quick, large enough to show blur."""

_MOTION_SIDE_PX = 160
_BLOCK_PX = 32
_STRIDE_PX = 16
_MIN_PEAK = 6.0
_MIN_CONTRAST = 2.0
_MIN_BLOCKS = 3
_QUANTILE = 0.75
_BLUR_TAPS = 9
_NOISE = 0.03


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Gradient energy lost by blurring, relative to what remains, along the axis where this is smaller.

    A sharp edge loses most of its gradient when it is blurred, a blurred edge little. The ratio depends
    neither on exposure nor on the number of edges.

    Args:
        luma: [h, w] grey values, longest side about ``LUMA_SIDE_PX``.

    Returns:
        0 (fully blurred, or no texture) and up; 5 to 30 for sharp photographs.

    Source: Crete et al. 2007, "The blur effect: perception and estimation with a new no-reference
        perceptual blur metric". Here differences are squared, so that edges count more than noise; small
        ones are ignored as noise; and the ratio is unbounded.
    """
    picture = luma.astype(np.float32)
    floor = _NOISE * float(picture[::2, ::2].std())
    found = []
    # Every second line along the axis is enough.
    for lines in (np.ascontiguousarray(picture[:, ::2].T), picture[::2]):
        blurred = uniform_filter1d(lines, _BLUR_TAPS, axis=1, mode="nearest")
        before = _energy(np.diff(lines, axis=1), floor)
        after = _energy(np.diff(blurred, axis=1), floor)
        found.append(max(0.0, before - after) / (after + 1e-3 * before) if before > 0.0 else 0.0)
    return min(found)


def _energy(differences: NDArray[np.float32], floor: float) -> float:
    steep = np.abs(differences)
    steep -= np.float32(floor)
    np.maximum(steep, 0.0, out=steep)
    return float(np.vdot(steep, steep))


def brightness(luma: NDArray[np.uint8]) -> float:
    """Mean of grey values [h, w], as a fraction of white."""
    return float(luma.mean()) / 255.0


def contrast(luma: NDArray[np.uint8]) -> float:
    """Standard deviation of grey values [h, w], as a fraction of white."""
    return float(luma[::2, ::2].std()) / 255.0


@dataclass(frozen=True)
class _Blocks:
    """Overlapping square blocks of one picture.

    Attributes:
        spectra:  complex64 [n, b, b // 2 + 1] of each block, windowed.
        contrast: [n] standard deviation of the grey values.
        diagonal: of the picture, pixels.
    """

    spectra: NDArray[np.complex64]
    contrast: NDArray[np.float32]
    diagonal: float


class MotionPath:
    """Length of the image motion since the first frame.

    Each frame is compared with a reference frame, not with the previous one, so that hand shake does not add
    up; the reference is replaced when the picture has moved by a twenty-fifth of its diagonal. Blocks are
    tracked by phase correlation, which is invariant to exposure; the upper quartile of their displacements is
    used, since a camera that orbits an object keeps it in the middle while the rest moves.
    """

    RENEW_AT = 0.04
    LOST_STEP = 0.06

    def __init__(self) -> None:
        self._reference: _Blocks | None = None
        self._previous: _Blocks | None = None
        self._start = 0.0
        self._position = 0.0
        self.num_lost = 0

    def add(self, luma: NDArray[np.uint8]) -> float:
        """Position of the next frame.

        Args:
            luma: [h, w] grey values, the same size in every call.

        Returns:
            Length of the path so far, in diagonals of the picture; it never decreases.
        """
        blocks = _blocks(luma)
        if self._reference is None or self._previous is None:
            self._reference = self._previous = blocks
            return 0.0
        moved = _displacement(self._reference, blocks)
        if moved is None:
            # Too far from the reference: the previous frame replaces it.
            self._reference, self._start = self._previous, self._position
            moved = _displacement(self._reference, blocks)
        if moved is None and _is_textured(blocks):
            # A cut, or a step too large to track.
            self.num_lost += 1
            moved = self.LOST_STEP
        if moved is not None:
            self._position = max(self._position, self._start + moved)
            if moved > self.RENEW_AT:
                self._reference, self._start = blocks, self._position
        if _is_textured(blocks) or not _is_textured(self._previous):
            # An untextured frame, as of a covered lens, does not replace a textured one.
            self._previous = blocks
        return self._position


def _is_textured(blocks: _Blocks) -> bool:
    return int((blocks.contrast > _MIN_CONTRAST).sum()) >= _MIN_BLOCKS


def _blocks(luma: NDArray[np.uint8]) -> _Blocks:
    factor = max(1, round(max(luma.shape) / _MOTION_SIDE_PX))
    height, width = (max(_BLOCK_PX, size // factor) for size in luma.shape)
    small = np.zeros((height, width), np.float32)
    rows, columns = luma.shape[0] // factor, luma.shape[1] // factor
    cells = luma[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    small[:rows, :columns] = cells.mean(axis=(1, 3), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(small, (_BLOCK_PX, _BLOCK_PX))
    blocks = windows[::_STRIDE_PX, ::_STRIDE_PX].reshape(-1, _BLOCK_PX, _BLOCK_PX)
    blocks = blocks - blocks.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt((blocks * blocks).mean(axis=(1, 2)))
    return _Blocks(rfft2(blocks * _taper()), deviation, float(np.hypot(height, width)))


@lru_cache(maxsize=1)
def _taper() -> NDArray[np.float32]:
    wave = np.hanning(_BLOCK_PX + 2)[1:-1]
    return np.outer(wave, wave).astype(np.float32)


@lru_cache(maxsize=1)
def _smooth() -> NDArray[np.float32]:
    """[b, b // 2 + 1] low-pass weights that make correlation peaks a few pixels wide."""
    v, u = np.fft.fftfreq(_BLOCK_PX), np.fft.rfftfreq(_BLOCK_PX)
    return np.exp(-20.0 * (u[None] ** 2 + v[:, None] ** 2)).astype(np.float32)


def _displacement(before: _Blocks, after: _Blocks) -> float | None:
    """Upper quartile of the displacement of blocks, in diagonals; None if too few of them can be tracked."""
    use = (before.contrast > _MIN_CONTRAST) & (after.contrast > _MIN_CONTRAST)
    if int(use.sum()) < _MIN_BLOCKS:
        return None
    cross = after.spectra[use] * before.spectra[use].conj()
    size = np.abs(cross)
    # Frequencies far weaker than the average are noise and do not get full weight.
    cross *= _smooth() / (size + 0.05 * size.mean(axis=(1, 2), keepdims=True))
    surface = irfft2(cross, s=(_BLOCK_PX, _BLOCK_PX))
    flat = surface.reshape(len(surface), -1)
    best = flat.argmax(axis=1)
    peak = flat[np.arange(len(flat)), best]
    clear = peak > _MIN_PEAK * flat.std(axis=1)
    if int(clear.sum()) < max(_MIN_BLOCKS, 0.2 * len(clear)):
        return None
    offsets = np.stack([_offset(surface, best, axis) for axis in (0, 1)], axis=1)[clear]
    return float(np.quantile(np.hypot(offsets[:, 0], offsets[:, 1]), _QUANTILE)) / before.diagonal


def _offset(surface: NDArray[np.float32], best: NDArray[np.intp], axis: int) -> NDArray[np.float64]:
    """[n] displacements along an axis: the peak of each surface [n, b, b], between samples by a parabola."""
    y, x = np.divmod(best, _BLOCK_PX)
    n = np.arange(len(best))
    at = y if axis == 0 else x

    def value(step: int) -> NDArray[np.float64]:
        shifted = (at + step) % _BLOCK_PX
        found = surface[n, shifted, x] if axis == 0 else surface[n, y, shifted]
        return found.astype(np.float64)

    left, centre, right = value(-1), value(0), value(1)
    curvature = left - 2.0 * centre + right
    shift = np.where(curvature < 0.0, 0.5 * (left - right) / np.minimum(curvature, -1e-12), 0.0).clip(
        -0.5, 0.5
    )
    return (at + _BLOCK_PX // 2) % _BLOCK_PX - _BLOCK_PX // 2 + shift
