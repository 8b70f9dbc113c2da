"""Noise and small drawing aids for the painted textures; pictures are [h, w, 3] sRGB in [0, 1]."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import zoom


def value_noise(shape, cells, rng) -> np.ndarray:
    """[h, w] smooth noise in about [0, 1] with ``cells`` (rows, columns) bumps; it tiles."""
    lattice = rng.random(cells)
    factors = (shape[0] / cells[0], shape[1] / cells[1])
    return zoom(lattice, factors, order=3, mode="grid-wrap", grid_mode=True)[: shape[0], : shape[1]]


def fractal_noise(shape, cells, rng, octaves: int = 5, gain: float = 0.5) -> np.ndarray:
    """[h, w] sum of ``octaves`` of value noise, scaled to [0, 1]; it tiles."""
    total = np.zeros(shape)
    for octave in range(octaves):
        finer = tuple(min(size, cell << octave) for size, cell in zip(shape, cells, strict=True))
        total += gain**octave * value_noise(shape, finer, rng)
    total -= total.min()
    return total / total.max()


def blend(under: np.ndarray, over, amount: np.ndarray) -> np.ndarray:
    """Lay colour ``over`` on the picture ``under`` where ``amount`` [h, w] is 1."""
    amount = np.clip(amount, 0, 1)[..., None]
    return under * (1 - amount) + np.asarray(over, float) * amount


def ramp(value: np.ndarray, stops) -> np.ndarray:
    """[h, w, 3] colours along ``value``; ``stops`` is a list of (position, (r, g, b))."""
    positions = [stop[0] for stop in stops]
    return np.stack([np.interp(value, positions, [s[1][k] for s in stops]) for k in range(3)], -1)


def step(edge: float, value: np.ndarray, softness: float) -> np.ndarray:
    """0 below ``edge``, 1 above, smooth over ``softness``."""
    t = np.clip((value - edge) / softness + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def coordinates(shape) -> tuple[np.ndarray, np.ndarray]:
    """v and u of the pixel centres, each [h, w] in (0, 1)."""
    v, u = np.mgrid[0 : shape[0], 0 : shape[1]]
    return (v + 0.5) / shape[0], (u + 0.5) / shape[1]
