"""Pictures of the room from all cameras at once: path-traced with few paths, and cleared of their noise.

The colour of the surfaces is traced at full resolution. The light that falls on them is smooth: it is
path-traced at half the resolution, denoised, and laid on the colours along surfaces and not across edges.
"""

from __future__ import annotations

from itertools import product

import mitsuba as mi
import numpy as np
from denoise import ALBEDO_FLOOR, DEPTH_SCALE, NORMAL_SCALE, denoise

from render import View, sensor_of

PASSES, PATHS_PER_PASS, LONGEST_PATH = 3, 4, 3
FEATURE_PASSES, FEATURES_PER_PASS = 4, 4


def _side_by_side(views: list[View]):
    """One Mitsuba sensor that takes all ``views``, each beside the one before."""
    width, height = views[0].size_px
    film = {
        "type": "hdrfilm",
        "width": len(views) * width,
        "height": height,
        "rfilter": {"type": "box"},
        "pixel_format": "rgb",
    }
    sensors = {f"view{number:02d}": sensor_of(view) for number, view in enumerate(views)}
    return mi.load_dict({"type": "batch", "film": film, "sampler": {"type": "multijitter"}, **sensors})


class Rig:
    """Cameras with their Mitsuba sensors, which are made once."""

    def __init__(self, views: list[View]) -> None:
        self.count = len(views)
        self._full = _side_by_side(views)
        self._half = _side_by_side([view.resized(0.5) for view in views])
        features = {"type": "aov", "aovs": "colour:albedo,normal:sh_normal,distance:depth"}
        self._features = mi.load_dict(features)
        self._light = mi.load_dict(features | {"path": {"type": "path", "max_depth": LONGEST_PATH}})

    def _render(self, scene, sensor, integrator, spp: int, seed: int) -> np.ndarray:
        """[n, h, w, channels] of all cameras."""
        values = mi.render(scene, sensor=sensor, integrator=integrator, spp=spp, seed=seed)
        return np.stack(np.split(np.array(values, np.float32), self.count, axis=1))

    def take(self, scene, seed: int) -> np.ndarray:
        """[n, h, w, 3] float32 linear radiance; with the same seed only what moves changes the pictures."""
        seeds = range(seed, seed + FEATURE_PASSES)
        passes = (self._render(scene, self._full, self._features, FEATURES_PER_PASS, k) for k in seeds)
        surface = sum(passes) / FEATURE_PASSES
        seeds = range(seed, seed + PASSES)
        coarse = np.stack([self._render(scene, self._half, self._light, PATHS_PER_PASS, k) for k in seeds])
        return np.stack([_lit(surface[k], coarse[:, k]) for k in range(self.count)])


def _lit(surface: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """[h, w, 3] radiance of one camera.

    Args:
        surface: [h, w, 7] colour, normal and distance.
        coarse: [m, h / 2, w / 2, 10] radiance, colour, normal and distance of m passes.
    """
    light = coarse[..., :3] / (np.clip(coarse[..., 3:6], 0, 1) + ALBEDO_FLOOR)
    guide = coarse[..., 3:].mean(axis=0)
    guide[..., :3] = 1 - ALBEDO_FLOOR
    light = denoise(light, guide)
    return _spread_out(light, guide, surface) * (np.clip(surface[..., :3], 0, 1) + ALBEDO_FLOOR)


def _edges(features: np.ndarray) -> np.ndarray:
    """[h, w, 4] normal and distance in units over which light may differ."""
    distance = np.log(np.maximum(features[..., 6:], 0.1)) / DEPTH_SCALE
    return np.concatenate([features[..., 3:6] / NORMAL_SCALE, distance], axis=-1)


def _spread_out(light: np.ndarray, guide: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """[h, w, 3] ``light`` at twice the resolution: means over near pixels whose surface is alike."""
    height, width = surface.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    own, other = _edges(surface), _edges(guide)
    total, weights = np.zeros((height, width, 3)), np.full((height, width), 1e-12)
    for dy, dx in product((-1, 0, 1), repeat=2):
        y, x = np.clip(rows // 2 + dy, 0, height // 2 - 1), np.clip(columns // 2 + dx, 0, width // 2 - 1)
        apart = ((2 * (y + 0.5) - rows - 0.5) ** 2 + (2 * (x + 0.5) - columns - 0.5) ** 2) / 4
        unlike = ((own - other[y, x]) ** 2).sum(axis=-1)
        weight = np.exp(-apart - 0.5 * np.minimum(unlike, 40))
        total += weight[..., None] * light[y, x]
        weights += weight
    return total / weights[..., None]
