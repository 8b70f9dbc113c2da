"""Orbits that stay where a scene can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from sfumato.envelope.candidates import SHIFTS, beside, low_resolution
from sfumato.envelope.subsampling import sample, thinned
from sfumato.envelope.trust import Trust
from sfumato.paths.best_view import longest_range
from sfumato.paths.orbit import Orbit
from sfumato.scene.cameras import Camera

# Positions on a circle at which the expected error is computed.
_ON_A_RING = 24
_WIDTH_PX = 96
# Number of training cameras beside which reference views are taken, and the quantile of their errors.
_NEIGHBOURS, _SHARE = 5, 0.9
# Circles that are tried: quantiles of the distances and of the heights of the cameras.
_CIRCLES = ((0.5, 0.5), (0.25, 0.5), (0.5, 0.25), (0.5, 0.75), (0.75, 0.5))
# Shorter arcs are not used.
_LEAST_ANGLE = np.radians(20.0)


def kept_inside(orbit: Orbit, cameras: Sequence[Camera], trust: Trust) -> Orbit | None:
    """The part of an orbit in which the expected error is no larger than near the training views.

    The limit is the 0.9 quantile of the expected errors of views displaced from training views by 0.15 of the
    distance to their target. Of several circles at the distances and heights of the cameras, the one with the
    longest arc within the limit is chosen.

    Args:
        orbit: at the median distance and height of the cameras.
        cameras: of the training views.
        trust: of the scene.

    Returns:
        An orbit that starts in the middle of that part, with the part as its covered range; None if no
        circle has a part of at least 20 degrees.
    """
    rows, larger = sample(len(trust.gaussians))
    subsampled = trust if larger == 1.0 else trust.select(rows)
    subsampled = replace(subsampled, gaussians=thinned(trust.gaussians, rows, larger))
    limit = _limit(subsampled, cameras, orbit)
    best, widest = None, _LEAST_ANGLE
    for circle in _circles(orbit, cameras):
        is_good = circle.covers(np.arange(_ON_A_RING) * (2 * np.pi / _ON_A_RING))
        ring = circle.cameras(_ON_A_RING, _size(cameras))
        for place in np.flatnonzero(is_good):
            is_good[place] = _error(subsampled, ring[place]) <= limit
        found = longest_range(is_good)
        if found and found[1] - found[0] > widest + 1e-9:
            best, widest = _middle_of(circle, *found), found[1] - found[0]
        if best and best.is_covered:
            break
    return best


def _limit(trust: Trust, cameras: Sequence[Camera], orbit: Orbit) -> float:
    depths = [float(np.linalg.norm(orbit.target - camera.centre_world.numpy())) for camera in cameras]
    near = [one.camera for one in beside(cameras, depths, _NEIGHBOURS) if one.share == SHIFTS[0]]
    return float(np.quantile([_error(trust, camera) for camera in near], _SHARE))


def _error(trust: Trust, camera: Camera) -> float:
    return float(trust.render(low_resolution(camera)).mean())


def _size(cameras: Sequence[Camera]) -> tuple[int, int]:
    width, height = cameras[0].size_px
    return _WIDTH_PX, max(8, round(_WIDTH_PX * height / width))


def _circles(orbit: Orbit, cameras: Sequence[Camera]) -> list[Orbit]:
    """The given circle first, then others around the same point."""
    arms = torch.stack([camera.centre_world for camera in cameras]).numpy() - orbit.target
    rises = arms @ orbit.up
    distances = np.linalg.norm(arms - rises[:, None] * orbit.up, axis=1)
    arm = orbit.start - orbit.target
    across = arm - (arm @ orbit.up) * orbit.up
    across = across / np.linalg.norm(across)
    found = [orbit]
    for distance, rise in _CIRCLES[1:]:
        far = np.quantile(distances, distance) or 1.0
        start = orbit.target + far * across + np.quantile(rises, rise) * orbit.up
        found.append(replace(orbit, start=start))
    return found


def _middle_of(orbit: Orbit, first: float, last: float) -> Orbit:
    """The orbit with its start in the middle of a range of angles, which is the covered range."""
    half = (last - first) / 2
    return replace(orbit, start=orbit.at(first + half)).part(-half, half)
