"""Light paths at surfaces: reflection, refraction, and the Fresnel split between them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Offset from a surface where a path continues, relative to its coordinates: above the rounding of float32.
_LEAVE = 4e-6


class Paths(NamedTuple):
    """Straight segments of light paths, each extended backwards by the length of the path before it.

    Attributes:
        origins: [p, 3] such that distances along a segment are lengths of the whole path, scene units.
        directions: [p, 3] unit vectors.
        near: [p] distance at which the segment begins.
        weights: [p, 3] weight of the path in its pixel.
        pixels: [p] int64 its pixel.
    """

    origins: Tensor
    directions: Tensor
    near: Tensor
    weights: Tensor
    pixels: Tensor

    def of(self, rows: Tensor) -> Paths:
        """Some of the paths."""
        return Paths(*(tensor[rows] for tensor in self))


class Surfaces(NamedTuple):
    """Surfaces that paths hit, with normals on the side that the paths come from.

    Attributes:
        flat: [p, 3] unit normals of the faces, against the paths.
        normals: [p, 3] smooth unit normals, against the paths too.
        entering: [p] bool, whether the path comes from outside.
    """

    flat: Tensor
    normals: Tensor
    entering: Tensor


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1, keepdim=True)


def surfaces(paths: Paths, flat: Tensor, smooth: Tensor) -> Surfaces:
    """Orient the normals of faces, ``flat`` and ``smooth`` [p, 3], against the paths."""
    entering = _dot(flat, paths.directions) < 0
    sign = torch.where(entering, 1.0, -1.0).to(flat)
    flat, smooth = flat * sign, torch.nn.functional.normalize(smooth * sign, dim=1)
    # Near a silhouette an interpolated normal may face away from the path.
    smooth = torch.where(_dot(smooth, paths.directions) < 0, smooth, flat)
    return Surfaces(flat, smooth, entering[:, 0])


def scattered(paths: Paths, surface: Surfaces, distance: Tensor, index: float | None) -> list[Paths]:
    """Paths that a mirror reflects or, with an ``index`` of refraction, glass reflects and refracts.

    Args:
        paths: that hit the surfaces.
        surface: what they hit.
        distance: [p] along the paths to the surfaces, scene units.
        index: of refraction; None for a mirror.
    """
    points = paths.origins + paths.directions * distance[:, None]
    mirrored = _reflected(paths.directions, surface)
    if index is None:
        return [_continued(paths, points, distance, mirrored, paths.weights)]
    ratio = torch.where(surface.entering, 1 / index, index).to(distance)[:, None]
    bent, share = _refracted(paths.directions, surface.normals, ratio)
    # By an interpolated normal, refracted light may stay on the side it came from; by the face's it cannot.
    again, _ = _refracted(paths.directions, surface.flat, ratio)
    bent = torch.where(_dot(bent, surface.flat) < 0, bent, again)
    through = (share < 1).squeeze(1)
    return [
        _continued(paths, points, distance, mirrored, paths.weights * share),
        _continued(paths, points, distance, bent, paths.weights * (1 - share)).of(
            through.nonzero().squeeze(1)
        ),
    ]


def _continued(paths: Paths, points: Tensor, distance: Tensor, directions: Tensor, weights: Tensor) -> Paths:
    directions = torch.nn.functional.normalize(directions, dim=1)
    origins = points - directions * distance[:, None]
    size = distance + points.abs().amax(1)
    return Paths(origins, directions, distance + _LEAVE * size, weights, paths.pixels)


def _reflected(directions: Tensor, surface: Surfaces) -> Tensor:
    smooth = directions - 2 * _dot(directions, surface.normals) * surface.normals
    flat = directions - 2 * _dot(directions, surface.flat) * surface.flat
    return torch.where(_dot(smooth, surface.flat) > 0, smooth, flat)


def _refracted(directions: Tensor, normals: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Directions [p, 3] by Snell's law, and the share [p, 1] that is reflected, 1 for total reflection.

    Source: Fresnel's equations for unpolarised light.
    """
    cosine = -_dot(directions, normals)
    square = 1 - ratio**2 * (1 - cosine**2)
    inner = square.clamp_min(0).sqrt()
    bent = ratio * directions + (ratio * cosine - inner) * normals
    across = ((ratio * cosine - inner) / (ratio * cosine + inner)) ** 2
    along = ((cosine - ratio * inner) / (cosine + ratio * inner)) ** 2
    return bent, torch.where(square > 0, 0.5 * (across + along), torch.ones_like(square))
