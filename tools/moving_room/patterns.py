"""Textures without repetition, with detail of every size: each place on a surface looks different."""

from __future__ import annotations

import numpy as np
from noise import blend, coordinates, fractal_noise, ramp, step


def spread(noise: np.ndarray) -> np.ndarray:
    """[h, w] the rank of each value in [0, 1]: every tone covers the same area."""
    ranks = np.empty(noise.size)
    ranks[np.argsort(noise, axis=None, kind="stable")] = np.linspace(0, 1, noise.size)
    return ranks.reshape(noise.shape)


def marbled(rng, colours, cells, shape=(256, 256)) -> np.ndarray:
    """[h, w, 3] sRGB islands of ``colours``, about ``cells`` (rows, columns) of them, with speckles."""
    tone = spread(fractal_noise(shape, cells, rng, 4, 0.45))
    edges = np.linspace(0, 1, len(colours) + 1)[1:-1]
    picture = np.broadcast_to(np.asarray(colours[0], float), (*shape, 3))
    for edge, colour in zip(edges, colours[1:], strict=True):
        picture = blend(picture, colour, step(edge, tone, 0.04))
    shade = spread(fractal_noise(shape, (3 * cells[0], 3 * cells[1]), rng, 3))
    picture = picture * (0.7 + 0.5 * shade)[..., None]
    fine = spread(fractal_noise(shape, (4 * cells[0], 4 * cells[1]), rng, 2))
    picture = blend(picture, 0.25 * np.asarray(colours[0]), 0.8 * step(0.93, fine, 0.02))
    return np.clip(blend(picture, (0.95, 0.93, 0.88), 0.8 * (1 - step(0.06, fine, 0.02))), 0, 1)


def plaster(rng, base, cells=(6, 6), shape=(512, 512)) -> np.ndarray:
    """A distempered wall: clouds in tones of one colour, and a few darker and lighter flecks."""
    tone = spread(fractal_noise(shape, cells, rng, 5, 0.6))
    base = np.asarray(base, float)
    picture = ramp(tone, [(0, tuple(0.62 * base)), (0.5, tuple(base)), (1, tuple(1.25 * base))])
    fleck = spread(fractal_noise(shape, (30, 30), rng, 2))
    picture = blend(picture, 0.45 * base, 0.7 * step(0.95, fleck, 0.02))
    return np.clip(blend(picture, 1.5 * base, 0.6 * (1 - step(0.05, fleck, 0.02))), 0, 1)


def flap(rng, shape=(256, 256)) -> np.ndarray:
    """Hanging strips of dark rubber, behind which things come in and go out."""
    _, u = coordinates(shape)
    strip = np.floor(u * 7).astype(int)
    tone = 0.10 + 0.06 * rng.random(7)[strip] + 0.05 * fractal_noise(shape, (8, 14), rng)
    joint = np.minimum(u * 7 % 1, 1 - u * 7 % 1)
    return blend(tone[..., None] * (1.0, 0.95, 0.9), (0.45, 0.33, 0.12), 1 - step(0.06, joint, 0.04))
