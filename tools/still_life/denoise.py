"""Remove the sampling noise of path-traced pictures, guided by noise-free features of the surfaces.

A pixel becomes a weighted mean over its neighbours. Weights fall with the difference of surface
colour, normal and depth, and with the difference of the (noisy) light by patches, measured against
its own variance as in non-local means (Buades et al. 2005; Rousselle et al. 2013). The light is
filtered divided by the surface colour, so that painted texture stays sharp.
"""

from __future__ import annotations

from itertools import product

import mitsuba as mi
import numpy as np
from scipy.ndimage import uniform_filter

from render import View, sensor_of

RADIUS_PX = 4
ALBEDO_FLOOR = 0.03
COLOUR_SCALE = 1.0
ALBEDO_SCALE, NORMAL_SCALE, DEPTH_SCALE = 0.10, 0.15, 0.03


def surface_features(scene, view: View, spp: int = 64) -> np.ndarray:
    """[h, w, 7] mean over each pixel of the first hit's colour (3), normal (3) and distance (1)."""
    integrator = mi.load_dict({"type": "aov", "aovs": "colour:albedo,normal:sh_normal,distance:depth"})
    return np.array(mi.render(scene, sensor=sensor_of(view, spp), integrator=integrator, spp=spp), np.float32)


def _patch_mean(values: np.ndarray) -> np.ndarray:
    """[h, w] mean over 3x3 pixels."""
    return uniform_filter(values, 3, mode="nearest")


def denoise(passes: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Filter independent renderings of one view.

    Args:
        passes: [m, h, w, 3] linear radiance, m >= 2.
        features: [h, w, 7] of ``surface_features``.

    Returns:
        [h, w, 3] linear radiance.
    """
    albedo = np.clip(features[..., :3], 0, 1) + ALBEDO_FLOOR
    light = passes.mean(axis=0) / albedo
    tone = np.log1p(8 * light.mean(axis=-1))
    spread = np.log1p(8 * (passes / albedo).mean(axis=-1)).var(axis=0, ddof=1) / len(passes)
    variance = uniform_filter(spread, 7, mode="nearest")
    scaled = np.concatenate(
        [
            features[..., :3] / ALBEDO_SCALE,
            features[..., 3:6] / NORMAL_SCALE,
            np.log(np.maximum(features[..., 6:], 0.1)) / DEPTH_SCALE,
        ],
        axis=-1,
    )
    total, weights = np.zeros_like(light), np.zeros(tone.shape)
    for dy, dx in product(range(-RADIUS_PX, RADIUS_PX + 1), repeat=2):
        shift = (dy, dx)
        other_variance = np.roll(variance, shift, (0, 1))
        gap = (tone - np.roll(tone, shift, (0, 1))) ** 2 - (variance + np.minimum(variance, other_variance))
        colour_gap = _patch_mean(gap / (1e-6 + COLOUR_SCALE * (variance + other_variance)))
        feature_gap = ((scaled - np.roll(scaled, shift, (0, 1))) ** 2).sum(axis=-1)
        weight = np.exp(-np.clip(colour_gap, 0, 50) - 0.5 * np.minimum(feature_gap, 100))
        weight *= _inside(weight.shape, dy, dx)
        total += weight[..., None] * np.roll(light, shift, (0, 1))
        weights += weight
    return total / weights[..., None] * albedo


def _inside(shape, dy: int, dx: int) -> np.ndarray:
    """[h, w] 1 where the pixel shifted here by (dy, dx) did not wrap round the picture."""
    inside = np.ones(shape)
    inside[: max(dy, 0)] = 0
    inside[:, : max(dx, 0)] = 0
    if dy < 0:
        inside[dy:] = 0
    if dx < 0:
        inside[:, dx:] = 0
    return inside
