"""Cameras around a scene or a point, in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sfumato.errors import ConfigError
from sfumato.paths.best_view import orbit_of_best_view
from sfumato.paths.look import Y_DOWN
from sfumato.paths.orbit import DEFAULT_FOV_DEG, Orbit, axis_of, side_of
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


def orbit(
    around: Gaussians | Sequence[float],
    count: int = 240,
    *,
    radius: float | None = None,
    elevation_deg: float = 15.0,
    fov_deg: float = DEFAULT_FOV_DEG,
    up: Sequence[float] = Y_DOWN,
    size_px: tuple[int, int] = (960, 540),
) -> tuple[Camera, ...]:
    """Cameras evenly around a scene or a point, counter-clockwise seen from above.

    Args:
        around: a scene, whose best view is searched for unless ``radius`` is given; or a point (x, y, z) in
            the world frame.
        count: number of cameras; the next one would be the first again.
        radius: distance from the point, or from the median of the scene's centres; scene units.
        elevation_deg: height of the circle above the point, as an angle. Not used for the best view.
        fov_deg: vertical field of view. Not used for the best view.
        up: (x, y, z) of the up direction, of any length but zero.
        size_px: (width, height).

    Raises:
        ConfigError: the scene is empty, a point is given without a radius, or a number is out of range.
    """
    if count < 1 or min(size_px) < 1:
        raise ConfigError(f"an orbit needs cameras, and pixels in them: count is {count}, size_px {size_px}")
    if radius is None:
        if not isinstance(around, Gaussians):
            raise ConfigError("an orbit around a point needs a radius")
        return orbit_of_best_view(around, up).cameras(count, size_px)
    if not (0 < radius < np.inf and 0 < fov_deg < 180 and abs(elevation_deg) < 90):
        raise ConfigError(
            "an orbit needs a positive radius, a field of view within 180 degrees, an elevation within 90, "
            f"not {radius}, {fov_deg} and {elevation_deg}"
        )
    target, axis, rise = _middle(around), axis_of(up), np.radians(elevation_deg)
    start = target + radius * (np.cos(rise) * side_of(axis) + np.sin(rise) * axis)
    return Orbit(target, start, axis, fov_deg).cameras(count, size_px)


def _middle(around: Gaussians | Sequence[float]) -> np.ndarray:
    if isinstance(around, Gaussians):
        if not len(around):
            raise ConfigError("an orbit needs a scene with Gaussians; this one is empty")
        return np.median(around.means.detach().cpu().double().numpy(), axis=0)
    point = np.asarray(around, np.float64)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise ConfigError(f"an orbit goes around a scene or a point (x, y, z), not {around!r}")
    return point
