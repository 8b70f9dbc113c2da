"""Orbits of scenes without known cameras: the best viewpoint, and how far an orbit may go from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfumato.errors import ConfigError
from sfumato.paths.look import Y_DOWN, looking_at, pinhole
from sfumato.paths.orbit import DEFAULT_FOV_DEG, Orbit, axis_of, side_of
from sfumato.paths.view_quality import ViewQuality
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.opening_view import OpeningView

# Size of the images by which positions are compared.
_SIZE_PX = (96, 64)
# Positions on each ring; the best ring is then sampled twice as densely.
_ON_A_RING = 8
# Least quality of a view of an orbit, as a share of the best view's.
_GOOD = 0.6
# Least swing to either side of the best view.
_LEAST_SWING = np.radians(8.0)
# Scenes smaller than this share of their distance from the origin have no reliable size in float32.
_LEAST_SIZE = 1e-5
# Extent of a Gaussian in standard deviations.
_REACH = 2.0


@dataclass(frozen=True)
class _Ring:
    """Positions at one distance and height around a point."""

    target: np.ndarray
    distance: float
    rise_deg: float

    def position(self, axis: np.ndarray, side: np.ndarray, angle: float) -> np.ndarray:
        rise = np.radians(self.rise_deg)
        across = np.cos(angle) * side + np.sin(angle) * np.cross(axis, side)
        return self.target + self.distance * (np.cos(rise) * across + np.sin(rise) * axis)


def orbit_of_best_view(gaussians: Gaussians, up: Sequence[float] = Y_DOWN) -> Orbit:
    """The orbit that starts at the best view of a scene, and covers the range of good views around it.

    The best of 32 positions on four rings, outside and inside the scene, is chosen by ``ViewQuality``.

    Args:
        gaussians: the scene.
        up: (x, y, z) upwards; y points down in the world of `sfumato sfm`.

    Raises:
        ConfigError: the scene is empty, or ``up`` is zero.
    """
    if not len(gaussians):
        raise ConfigError("an orbit needs a scene with Gaussians; this one is empty")
    axis = axis_of(up)
    side, views = side_of(axis), ViewQuality(gaussians)

    def quality(ring: _Ring, angle: float) -> float:
        pose = looking_at(ring.position(axis, side, angle), ring.target, axis)
        camera = pinhole(pose, _SIZE_PX, DEFAULT_FOV_DEG)
        return views.of(camera, ring.distance)

    turn = 2 * np.pi / _ON_A_RING
    rings = _rings(gaussians)
    found = np.array([[quality(ring, turn * k) for k in range(_ON_A_RING)] for ring in rings])
    row = int(found.max(axis=1).argmax())
    ring = rings[row]
    whole = np.empty(2 * _ON_A_RING)
    whole[::2] = found[row]
    whole[1::2] = [quality(ring, turn * (k + 0.5)) for k in range(_ON_A_RING)]
    best = int(whole.argmax())
    orbit = Orbit(ring.target, ring.position(axis, side, turn / 2 * best), axis, DEFAULT_FOV_DEG)
    return orbit.part(*_around(np.roll(whole >= _GOOD * whole[best], -best)))


def orbit_from_view(gaussians: Gaussians, view: OpeningView, up: Sequence[float] = Y_DOWN) -> Orbit:
    """The orbit that starts at a chosen view of a scene, and covers the range of good views around it.

    Args:
        gaussians: the scene.
        view: where the orbit starts.
        up: (x, y, z) upwards; y points down in the world of `sfumato sfm`.

    Raises:
        ConfigError: the scene is empty, or ``up`` is zero or along the line of sight.
    """
    if not len(gaussians):
        raise ConfigError("an orbit needs a scene with Gaussians; this one is empty")
    axis, views = axis_of(up), ViewQuality(gaussians)
    orbit = Orbit(np.array(view.target), np.array(view.position), axis, view.fov_deg)
    distance = float(np.linalg.norm(orbit.start - orbit.target))
    turn = np.pi / _ON_A_RING
    poses = [looking_at(orbit.at(turn * k), orbit.target, axis) for k in range(2 * _ON_A_RING)]
    found = np.array([views.of(pinhole(pose, _SIZE_PX, view.fov_deg), distance) for pose in poses])
    return orbit.part(*_around(found >= _GOOD * found[0]))


def _around(is_good: np.ndarray) -> tuple[float, float]:
    """First and last angle of the good positions around the first of k."""
    if is_good.all():
        return -np.pi, np.pi
    turn = 2 * np.pi / len(is_good)
    after, before = (int(np.argmin(one)) for one in (is_good[1:], is_good[:0:-1]))
    return min(-before * turn, -_LEAST_SWING), max(after * turn, _LEAST_SWING)


def longest_range(is_good: np.ndarray) -> tuple[float, float] | None:
    """The longest run of good positions among positions evenly around a circle.

    Args:
        is_good: [k] bool, for the angles 2 pi i / k.

    Returns:
        First and last angle, two pi apart if all are good; None if none is.
    """
    count, turn = len(is_good), 2 * np.pi / len(is_good)
    if is_good.all():
        return 0.0, 2 * np.pi
    bad = np.flatnonzero(~is_good)
    gaps = np.diff([*bad, bad[0] + count]) - 1
    longest = int(gaps.argmax())
    if not gaps[longest]:
        return None
    first = int(bad[longest]) + 1
    return first * turn, (first + int(gaps[longest]) - 1) * turn


def _rings(gaussians: Gaussians) -> list[_Ring]:
    """One ring outside the whole scene, and three nearer ones around its finest part."""
    means = gaussians.means.detach().double().cpu().numpy()
    size = gaussians.log_scales.detach().double().cpu().numpy().max(axis=1)
    reach = _REACH * np.exp(np.minimum(size, 50.0))
    low, high = np.quantile(means, [0.005, 0.995], axis=0)
    middle = (low + high) / 2
    around = _length(np.quantile(np.linalg.norm(means - middle, axis=1) + reach, 0.9), middle)
    fine = size <= np.median(size)
    centre = np.median(means[fine], axis=0)
    inner = _length(np.quantile(np.linalg.norm(means[fine] - centre, axis=1) + reach[fine], 0.5), centre)
    outside = around / np.sin(np.radians(DEFAULT_FOV_DEG / 2))
    return [
        _Ring(middle, outside, 15.0),
        _Ring(centre, 2.5 * inner, 25.0),
        _Ring(centre, 2.5 * inner, 8.0),
        _Ring(centre, 1.4 * inner, 15.0),
    ]


def _length(found: float, place: np.ndarray) -> float:
    """A size of a scene; its distance from the origin if the size is too small for float32."""
    away = float(np.linalg.norm(place))
    return float(found) if found > _LEAST_SIZE * away else away or 1.0
