"""Selections drawn on a picture, by polygon or by brush stroke.

Gaussians are selected by the projections of their centres, at any depth. Computations are float64, in the
same order of operations as in the page (``regions.js``), so that both select the same Gaussians.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.scene.gaussians import Gaussians

Matrix = Sequence[Sequence[float]]
Pair = Sequence[float]


def in_polygon(
    gaussians: Gaussians,
    camera_from_world: Matrix,
    focal_px: Pair,
    centre_px: Pair,
    points_px: Sequence[Pair],
) -> Tensor:
    """Select Gaussians with centres in a polygon of a picture, at any depth.

    Args:
        gaussians: the scene.
        camera_from_world: four rows of four numbers, a rigid transform with OpenCV axes (x right, y down, z
            forward).
        focal_px: (fx, fy).
        centre_px: (cx, cy); the centre of pixel (0, 0) is (0.5, 0.5).
        points_px: (x, y) of three or more corners in order. Self-intersecting polygons follow the even-odd
            rule.

    Returns:
        [n] bool.

    Raises:
        ConfigError: a focal length is not positive, or there are fewer than three corners.
    """
    if len(points_px) < 3:
        raise ConfigError(f"polygon: {len(points_px)} corners enclose nothing; give three or more")
    x, y, in_front = _projected("polygon", gaussians, camera_from_world, focal_px, centre_px)
    inside = torch.zeros_like(in_front)
    for (ax, ay), (bx, by) in zip(points_px, [*points_px[1:], points_px[0]], strict=True):
        if ay != by:
            crosses = (y < ay) != (y < by)
            inside ^= crosses & (x < (bx - ax) * ((y - ay) / (by - ay)) + ax)
    return inside & in_front


def under_brush(
    gaussians: Gaussians,
    camera_from_world: Matrix,
    focal_px: Pair,
    centre_px: Pair,
    radius_px: float,
    points_px: Sequence[Pair],
) -> Tensor:
    """Select Gaussians with centres under the stroke of a round brush, at any depth.

    Args:
        gaussians: the scene.
        camera_from_world, focal_px, centre_px: the camera, as in ``in_polygon``.
        radius_px: radius of the brush.
        points_px: (x, y) of one or more points, joined by straight lines.

    Returns:
        [n] bool.

    Raises:
        ConfigError: a focal length or the radius is not positive, or there is no point.
    """
    if not points_px or not radius_px > 0:
        raise ConfigError("brush: give a radius above 0, and one or more places that it is drawn through")
    x, y, in_front = _projected("brush", gaussians, camera_from_world, focal_px, centre_px)
    under = torch.zeros_like(in_front)
    for (ax, ay), (bx, by) in zip(points_px, points_px[1:] or points_px, strict=False):
        dx, dy = bx - ax, by - ay
        along = ((x - ax) * dx + (y - ay) * dy) / ((dx * dx + dy * dy) or 1.0)
        along = along.clamp(0.0, 1.0)
        away_x, away_y = x - (ax + along * dx), y - (ay + along * dy)
        under |= away_x * away_x + away_y * away_y <= radius_px * radius_px
    return under & in_front


def _projected(
    what: str, gaussians: Gaussians, camera_from_world: Matrix, focal_px: Pair, centre_px: Pair
) -> tuple[Tensor, Tensor, Tensor]:
    """Projections of the centres, pixels [n] and [n], and whether each is in front of the camera."""
    if not min(focal_px) > 0:
        raise ConfigError(f"{what}: focal_px {tuple(focal_px)} must be above 0")
    x, y, z = gaussians.means.detach().double().unbind(1)
    # Not a matrix product, which may sum in another order than the page.
    x, y, z = (a * x + b * y + c * z + d for a, b, c, d in camera_from_world[:3])
    in_front = z > 0
    depth = torch.where(in_front, z, 1.0)
    return focal_px[0] * (x / depth) + centre_px[0], focal_px[1] * (y / depth) + centre_px[1], in_front
