"""Up direction, centre and size of a scene, estimated from its cameras and Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfumato.maths.rigid import centres_of
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import metadata_of

# Reconstructions have gravity along +y. The estimate snaps to an axis that is within this angle of it.
DEFAULT_UP = np.array([0.0, -1.0, 0.0])
NEAR_AN_AXIS = np.cos(np.deg2rad(25.0))
# Smallest second eigenvalue for which the right axes determine up: they do not if all cameras look level
# from one side.
LEAST_SPREAD = 0.15
SAMPLE = 20_000


@dataclass(frozen=True)
class SceneExtent:
    """Up direction, centre and size of a scene.

    Attributes:
        up: [3] unit vector, world frame.
        middle: [3] centre of the orbit, world frame.
        radius: distance of the initial view from ``middle``, scene units.
        low, high: [3] corners of a box around most of the Gaussians, world frame.
        frustum: depth of a drawn camera frustum, scene units.
    """

    up: tuple[float, ...]
    middle: tuple[float, ...]
    radius: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    frustum: float


def place(gaussians: Gaussians, cameras: Sequence[Camera]) -> SceneExtent:
    """Estimate the extent of a scene.

    Args:
        gaussians: the scene.
        cameras: cameras it was reconstructed from, possibly none.

    Returns:
        The extent.
    """
    means = _sample(gaussians)
    poses = np.array([camera.camera_from_world.detach().double().numpy() for camera in cameras])
    if len(poses):
        centres = centres_of(poses)
        looked_at = _looked_at(means, cameras, poses, centres)
        middle = np.median(looked_at, axis=0)
        radius = float(np.median(np.linalg.norm(centres - middle, axis=1)))
        up = _up(poses[:, :3, :3])
    else:
        middle = np.median(means, axis=0)
        radius = float(1.2 * np.quantile(np.linalg.norm(means - middle, axis=1), 0.7))
        known = metadata_of(gaussians).up
        up, centres = DEFAULT_UP if known is None else np.array(known), np.zeros((0, 3))
    radius = radius if np.isfinite(radius) and radius > 0 else 1.0
    low, high = np.quantile(means, [0.005, 0.995], axis=0)
    margin = 0.02 * (high - low) + 1e-6 * radius
    low, high = _plain(low - margin), _plain(high + margin)
    return SceneExtent(_plain(up), _plain(middle), radius, low, high, _frustum(centres, radius))


def _sample(gaussians: Gaussians) -> np.ndarray:
    """Means of a sample of the visible Gaussians, [m, 3]."""
    if not len(gaussians):
        return np.zeros((1, 3))
    seen = gaussians.logit_opacities.detach().cpu().numpy() > -1.0
    means = gaussians.means.detach().double().cpu().numpy()
    means = means[seen] if seen.sum() > 100 else means
    return means[:: max(1, len(means) // SAMPLE)]


def _looked_at(
    means: np.ndarray, cameras: Sequence[Camera], poses: np.ndarray, centres: np.ndarray
) -> np.ndarray:
    """A point in front of each camera, at the median depth of the Gaussians near its axis, [c, 3]."""
    fallback = np.median(np.linalg.norm(means - np.median(means, axis=0), axis=1)) or 1.0
    points = []
    every = max(1, len(cameras) // 60)
    for camera, pose, centre in list(zip(cameras, poses, centres, strict=True))[::every]:
        local = means @ pose[:3, :3].T + pose[:3, 3]
        depth = local[:, 2]
        reach = 0.25 * np.array(camera.size_px) / np.array(camera.focal_px)
        with np.errstate(divide="ignore", invalid="ignore"):
            in_view = (depth > 0) & (np.abs(local[:, :2] / depth[:, None]) < reach).all(axis=1)
        far = np.median(depth[in_view]) if in_view.sum() >= 5 else fallback
        points.append(centre + far * pose[2, :3])
    return np.array(points)


def _up(rotations: np.ndarray) -> np.ndarray:
    """The direction perpendicular to the cameras' right axes, on the side of their up axes."""
    tops = -rotations[:, 1].mean(axis=0)
    rights = rotations[:, 0]
    values, vectors = np.linalg.eigh(rights.T @ rights / len(rights))
    up = vectors[:, 0] if values[1] > LEAST_SPREAD else tops
    length = np.linalg.norm(up)
    if length < 1e-3:
        return DEFAULT_UP
    up = up / length
    if abs(up @ tops) > 0.05:
        up = up * np.sign(up @ tops)
    elif up @ DEFAULT_UP < 0:
        up = -up
    axis = np.zeros(3)
    k = int(np.argmax(np.abs(up)))
    axis[k] = np.sign(up[k])
    return axis if abs(up[k]) > NEAR_AN_AXIS else up


def _frustum(centres: np.ndarray, radius: float) -> float:
    if len(centres) < 2:
        return 0.1 * radius
    some = centres[:400]
    apart = np.linalg.norm(some[:, None] - some[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    return float(np.clip(0.6 * np.median(apart.min(axis=1)), 0.02 * radius, 0.12 * radius))


def _plain(vector: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.7g}") for value in vector)
