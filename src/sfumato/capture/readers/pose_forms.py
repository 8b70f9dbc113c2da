"""Conversion of poses in files to camera_from_world with OpenCV axes."""

from __future__ import annotations

import math

import numpy as np

from sfumato.capture.readers.source import rigid
from sfumato.errors import CaptureError

_OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def from_opengl(world_from_camera: np.ndarray, where: str) -> np.ndarray:
    """camera_from_world [4, 4] of a pose whose camera has x right, y up and z backward.

    Args:
        world_from_camera: [4, 4], OpenGL camera axes; the world frame is unchanged.
        where: file and image, for messages.

    Raises:
        CaptureError: it is not a rotation and translation.
    """
    return _OPENCV_FROM_OPENGL @ np.linalg.inv(rigid(world_from_camera, where))


def from_opencv(world_from_camera: np.ndarray, where: str) -> np.ndarray:
    """camera_from_world [4, 4] of a pose whose camera has x right, y down and z forward.

    Args:
        world_from_camera: [4, 4], OpenCV camera axes.
        where: file and image, for messages.

    Raises:
        CaptureError: it is not a rotation and translation.
    """
    return np.linalg.inv(rigid(world_from_camera, where))


def from_quaternion(quat: tuple[float, ...], translation: tuple[float, ...], where: str) -> np.ndarray:
    """The [4, 4] transform of a quaternion and a translation.

    Args:
        quat: (w, x, y, z) of any length but zero.
        translation: (x, y, z).
        where: file and image, for messages.

    Raises:
        CaptureError: the quaternion is invalid.
    """
    length = math.hypot(*quat)
    if not 1e-6 < length < 1e6:
        raise CaptureError(f"{where}: the rotation {tuple(quat)} is not a quaternion; remove the image")
    w, x, y, z = (value / length for value in quat)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return rigid(matrix, where)


def from_rotation_vector(vector: np.ndarray, translation: np.ndarray, where: str) -> np.ndarray:
    """The [4, 4] transform of an angle-axis vector and a translation.

    Args:
        vector: [3], its direction the axis and its length the angle in radians.
        translation: [3].
        where: file and image, for messages.

    Raises:
        CaptureError: the vector or the translation is huge.
    """
    angle = math.hypot(*vector)
    if not angle < 1e3:
        raise CaptureError(
            f"{where}: the rotation {vector.tolist()} is not an angle-axis vector; remove the image"
        )
    half = 0.5 * angle
    # sin(half) / angle, which tends to one half for small rotations.
    x, y, z = vector * (0.5 * np.sinc(half / math.pi))
    return from_quaternion((math.cos(half), x, y, z), tuple(translation), where)
