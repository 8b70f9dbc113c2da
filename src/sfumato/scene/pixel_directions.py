"""Directions of a camera's pixels in its own frame, cached by intrinsics."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sfumato.maths.device_copies import moved_like
from sfumato.scene.cameras import Camera
from sfumato.scene.lru_cache import LruCache, lasting
from sfumato.scene.unprojection import undistort

_ROWS_AT_ONCE_PX = 1 << 18


_cache: LruCache[Tensor] = LruCache()


def pixel_directions(camera: Camera, *, like: Tensor | None = None) -> Tensor:
    """Unit directions in the camera frame through the pixels' centres.

    Args:
        camera: any; its pose does not matter.
        like: whose dtype and device to use; by default those of the pose.

    Returns:
        [h, w, 3], zero where the lens has no direction. It is shared: do not write to it.
    """
    like = camera.camera_from_world if like is None else like
    key = (camera.lens, camera.focal_px, camera.centre_px, camera.size_px, like.dtype, str(like.device))
    directions = _cache.find(key)
    if directions is None:
        with lasting():
            directions = _computed(camera, like)
        _cache.keep(key, directions, directions.nbytes)
    return directions


def pixels_with_rays(camera: Camera) -> Tensor:
    """[h, w] bool: whether the lens has a direction for a pixel."""
    like = torch.empty(0, dtype=torch.float32)
    return (pixel_directions(camera, like=like) != 0).any(-1)


def image_plane(camera: Camera, rows: slice = slice(None)) -> np.ndarray:
    """Pixel centres as distorted normalised coordinates.

    Args:
        camera: any; its pose does not matter.
        rows: of the image.

    Returns:
        [rows, w, 2] float64 (pixels - centre) / focal.
    """
    columns = (np.arange(camera.width) + 0.5 - camera.centre_px[0]) / camera.focal_px[0]
    lines = (np.arange(camera.height)[rows] + 0.5 - camera.centre_px[1]) / camera.focal_px[1]
    return np.stack(np.meshgrid(columns, lines), axis=-1)


def _computed(camera: Camera, like: Tensor) -> Tensor:
    directions = torch.empty(camera.height, camera.width, 3, dtype=like.dtype)
    step = max(1, _ROWS_AT_ONCE_PX // camera.width)
    for top in range(0, camera.height, step):
        rows = slice(top, min(camera.height, top + step))
        directions[rows] = torch.from_numpy(np.nan_to_num(undistort(camera.lens, image_plane(camera, rows))))
    return moved_like(directions, like)
