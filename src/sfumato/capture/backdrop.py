"""Background points far behind a scene, for directions without sparse points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sfumato.capture.points import PointCloud
from sfumato.capture.random_points import look, project, spread_out

if TYPE_CHECKING:
    from sfumato.capture.dataset import Capture, View

# Points on the whole sphere, and its radius beyond the cameras in units of the scene's depth.
_COUNT, _BEYOND = 8000, 3.0
# Number of views that are used, and cells along each side of a picture that are tested for points.
_MOST_VIEWS, _CELLS = 32, 32
# Number of views that must see a point, and the fraction of these without scene points near it.
_LEAST_SEEN, _BARE_SHARE = 2, 0.75
# Fewer points than this fraction of the scene's own are not added.
_LEAST_GAIN = 0.05


def backdrop(capture: Capture, most: int) -> PointCloud:
    """Points on a sphere around the cameras and the scene, where pictures have no points.

    Walls and sky without texture have no sparse points, and densification reaches them late. A point is
    kept if at least two pictures have it in their frame, and three quarters of them have no point of the
    scene near it. Its colour is the mean of those pictures. Only pinhole cameras are used. If a twentieth of
    the scene's points or fewer would be added, none are.

    Args:
        capture: with measured points.
        most: maximum number of points.

    Returns:
        The points; there may be none.
    """
    pinholes = [view for view in capture.train_views if view.camera.lens.is_pinhole]
    views = spread_out(pinholes, _MOST_VIEWS) if pinholes else ()
    centres = np.stack([view.camera.centre_world.numpy() for view in capture.train_views])
    centre = centres.mean(axis=0)
    reach = np.linalg.norm(centres - centre, axis=1).max() + _BEYOND * capture.depth
    reach = max(reach, float(np.quantile(np.linalg.norm(capture.points.xyz - centre, axis=1), 0.99)))
    xyz = centre + reach * _directions(_COUNT)
    seen, bare = np.zeros(len(xyz)), np.zeros(len(xyz))
    for view in views:
        columns, rows, inside = project(view.camera, xyz)
        width, height = view.camera.size_px
        cells = _cells_with_points(view, capture.points.xyz)
        seen += inside
        bare += inside & ~cells[rows * _CELLS // height, columns * _CELLS // width]
    found = xyz[(seen >= _LEAST_SEEN) & (bare > _BARE_SHARE * seen)]
    is_worth = most > 0 and len(found) > _LEAST_GAIN * len(capture.points)
    found = found[:: -(-len(found) // most)] if is_worth else found[:0]
    return PointCloud(found.astype(np.float32), look(views, found)[1])


def _cells_with_points(view: View, xyz: np.ndarray) -> np.ndarray:
    """[cells, cells] bool: cells of a picture with a point in them or in a neighbouring cell."""
    columns, rows, there = project(view.camera, xyz)
    width, height = view.camera.size_px
    cells = np.zeros((_CELLS + 2, _CELLS + 2), bool)
    for right in range(3):
        for below in range(3):
            cells[rows[there] * _CELLS // height + below, columns[there] * _CELLS // width + right] = True
    return cells[1:-1, 1:-1]


def _directions(count: int) -> np.ndarray:
    """[count, 3] unit vectors, evenly over the sphere along a spiral."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), height, flat * np.sin(angle)], axis=1)
