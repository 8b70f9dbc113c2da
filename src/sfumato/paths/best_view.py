"""A scene without known cameras: where to look at it from, and how far one may go round it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfumato.errors import ConfigError
from sfumato.paths.look import Y_DOWN, looking_at, pinhole
from sfumato.paths.orbit import DEFAULT_FOV_DEG, Orbit, axis_of, side_of
from sfumato.paths.view_quality import ViewQuality
from sfumato.scene.gaussians import Gaussians

# Pictures in which places are compared.
_SIZE_PX = (96, 64)
# Places: rings of so many; those between are looked at on the best of them alone.
_ON_A_RING = 8
# A view is good enough for a film at this share of the quality of the best one.
_GOOD = 0.6
# How far to either side of the best view one goes at least.
_LEAST_SWING = np.radians(8.0)
# Of the distance from the origin, scenes smaller than this share have no size in float32.
_LEAST_SIZE = 1e-5
# Gaussians reach so many standard deviations from their centres.
_REACH = 2.0


@dataclass(frozen=True)
class _Ring:
    """Places at one distance and height, around one point."""

    target: np.ndarray
    distance: float
    rise_deg: float

    def position(self, axis: np.ndarray, side: np.ndarray, angle: float) -> np.ndarray:
        rise = np.radians(self.rise_deg)
        across = np.cos(angle) * side + np.sin(angle) * np.cross(axis, side)
        return self.target + self.distance * (np.cos(rise) * across + np.sin(rise) * axis)


def orbit_of_best_view(gaussians: Gaussians, up: Sequence[float] = Y_DOWN) -> Orbit:
    """The orbit that starts where a scene looks best, and is covered as far as it goes on looking well.

    Of 32 places in four rings, outside of the scene and within it, the best by ``ViewQuality`` is taken.

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


def _around(is_good: np.ndarray) -> tuple[float, float]:
    """First and last angle of the good places around the first one [k]."""
    if is_good.all():
        return -np.pi, np.pi
    turn = 2 * np.pi / len(is_good)
    after, before = (int(np.argmin(one)) for one in (is_good[1:], is_good[:0:-1]))
    return min(-before * turn, -_LEAST_SWING), max(after * turn, _LEAST_SWING)


def longest_range(is_good: np.ndarray) -> tuple[float, float] | None:
    """The longest run of good ones among places evenly around a circle.

    Args:
        is_good: [k] bool, the place k at the angle 2 pi / k.

    Returns:
        First and last angle, apart by two pi where all are good; None where none is.
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
    """Outside of the whole scene, and three nearer ones around what has the most detail."""
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
    """A size of a scene; another one where it is too small for its place."""
    away = float(np.linalg.norm(place))
    return float(found) if found > _LEAST_SIZE * away else away or 1.0
