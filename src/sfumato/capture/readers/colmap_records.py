"""Records of a COLMAP model, common to its binary and text formats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CameraRecord:
    """A row of cameras: ``params`` in COLMAP's order for ``model``; ``where`` names file and row in
    messages."""

    camera_id: int
    model: str
    size_px: tuple[int, int]
    params: tuple[float, ...]
    where: str


@dataclass(frozen=True)
class ImageRecord:
    """A row of images: ``quat`` (w, x, y, z) and ``translation`` of camera_from_world."""

    name: str
    quat: tuple[float, float, float, float]
    translation: tuple[float, float, float]
    camera_id: int


@dataclass(frozen=True)
class PointRecords:
    """All rows of points3D: ``xyz`` [n, 3] float64, world frame; ``rgb`` [n, 3] uint8."""

    xyz: np.ndarray
    rgb: np.ndarray
