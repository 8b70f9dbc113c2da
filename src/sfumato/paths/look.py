"""Cameras from a position and a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from sfumato.errors import ConfigError
from sfumato.scene.cameras import Camera

Y_DOWN = (0.0, -1.0, 0.0)
"""The up direction in the world frame of `sfumato sfm`."""


def looking_at(
    position: Sequence[float] | np.ndarray,
    target: Sequence[float] | np.ndarray,
    up: Sequence[float] | np.ndarray = Y_DOWN,
) -> np.ndarray:
    """The pose of a camera that looks at a point.

    Args:
        position: (x, y, z) of the camera, world frame.
        target: (x, y, z) of the point it looks at.
        up: (x, y, z) of the direction that points up in the image; any length but zero.

    Returns:
        [4, 4] float64 camera_from_world.

    Raises:
        ConfigError: position and target are one point.
    """
    eye, ahead = np.asarray(position, np.float64), np.asarray(target, np.float64) - position
    length = np.linalg.norm(ahead)
    if not length > 0:
        raise ConfigError(f"a camera at {list(position)} cannot look at the point where it stands")
    forward = ahead / length
    right = np.cross(forward, np.asarray(up, np.float64))
    if np.linalg.norm(right) < 1e-9 * max(1.0, float(np.linalg.norm(up))):
        # Looking straight up or down, the roll is arbitrary: the axis least aligned with the view is used.
        right = np.cross(forward, np.eye(3)[np.argmin(np.abs(forward))])
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def pinhole(camera_from_world: np.ndarray, size_px: tuple[int, int], fov_deg: float) -> Camera:
    """A camera with square pixels and a central principal point.

    Args:
        camera_from_world: [4, 4] rigid.
        size_px: (width, height).
        fov_deg: vertical field of view, degrees.

    Raises:
        ConfigError: the field of view is not between 0 and 180 degrees.
    """
    if not 0 < fov_deg < 180:
        raise ConfigError(f"the field of view is {fov_deg} degrees; give more than 0 and less than 180")
    width, height = size_px
    focal = height / 2 / math.tan(math.radians(fov_deg) / 2)
    return Camera(torch.from_numpy(camera_from_world), (focal, focal), (width / 2, height / 2), size_px)


def refitted(camera: Camera, size_px: tuple[int, int]) -> Camera:
    """The camera with another image size and aspect ratio; the vertical field of view is kept.

    Args:
        camera: any.
        size_px: (width, height) of the image.
    """
    scale = size_px[1] / camera.height
    (cx, cy), (width, height) = camera.centre_px, size_px
    return replace(
        camera,
        focal_px=(camera.focal_px[0] * scale, camera.focal_px[1] * scale),
        centre_px=(width / 2 + (cx - camera.width / 2) * scale, cy * height / camera.height),
        size_px=size_px,
    )


def field_of_view_deg(camera: Camera) -> float:
    """Vertical field of view of a pinhole, degrees."""
    return math.degrees(2 * math.atan(camera.height / 2 / camera.focal_px[1]))
