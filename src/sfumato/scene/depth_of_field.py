"""Depth of field: rays that start on an aperture and converge on the plane in focus."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.maths.quaternions import normalised
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import ON_TANGENTS
from sfumato.scene.pixel_directions import pixel_directions
from sfumato.scene.rays import Rays, lens_plane, placed

# 1 / p and 1 / p^2 of p^3 = p + 1: multiples of them fill the square evenly.
_SPREAD = (0.7548776662466927, 0.5698402909980532)
_PIXEL_SEED = 20240229


def thin_lens(
    rays_or_camera: Rays | Camera,
    *,
    aperture_radius: float,
    focus_distance: float,
    seed: int,
    like: Tensor | None = None,
) -> Rays:
    """One ray per pixel through a point of the lens, so that the mean of many images has depth of field.

    Successive seeds are successive points of a low-discrepancy sequence over the lens, shifted for each
    pixel, so that the mean of the images of seeds 0, 1, 2, ... converges fast.

    A pinhole camera, distorted or not, and an orthographic one are sharp in the plane z =
    ``focus_distance`` of the camera. Wider lenses and free rays have no such plane: they are sharp at
    that distance along each ray, with the lens perpendicular to it.

    Args:
        rays_or_camera: rays through the centre of the lens, or the camera.
        aperture_radius: of the lens, scene units; 0 for a pinhole.
        focus_distance: distance in focus, scene units.
        seed: index of the point of the lens, from 0.
        like: whose dtype and device to use for a camera; by default those of its pose.

    Returns:
        Rays with unit directions, zero where they were; colours are seen from the centre of the lens.

    Raises:
        ConfigError: an option is out of range.

    Gradients: as ``camera_rays``, or those of the given rays.

    Source: Cook, Porter and Carpenter 1984; Cranley and Patterson 1976 (the shifts); Roberts 2018 (the
        sequence).
    """
    if not (math.isfinite(aperture_radius) and aperture_radius >= 0):
        raise ConfigError(f"aperture_radius is {aperture_radius}; give 0 or more")
    if not (math.isfinite(focus_distance) and focus_distance > 0):
        raise ConfigError(f"focus_distance is {focus_distance}; give a positive number")
    if seed < 0 or seed != int(seed):
        raise ConfigError(f"seed is {seed}; give a whole number of at least 0")
    if isinstance(rays_or_camera, Camera):
        camera = rays_or_camera
        directions = pixel_directions(camera, like=like)
        on_disc = aperture_radius * _on_disc(directions, seed)
        if camera.lens.model in ON_TANGENTS or camera.lens.model == "ortho":
            shift, directions = _focused_in_plane(directions, on_disc, focus_distance)
        else:
            shift, directions = _focused_around(directions, on_disc, focus_distance)
        starts = lens_plane(camera, directions)
        return placed(camera, directions, shift if starts is None else starts + shift)
    rays = rays_or_camera
    on_disc = aperture_radius * _on_disc(rays.directions, seed)
    shift, directions = _focused_around(normalised(rays.directions), on_disc, focus_distance)
    viewpoint = rays.origins if rays.viewpoint is None and rays.origins.ndim == 1 else rays.viewpoint
    return Rays(rays.origins + shift, directions, viewpoint)


def _on_disc(like: Tensor, seed: int) -> Tensor:
    """[..., 2] a point of the unit disc for each row of ``like`` [..., 3]."""
    own = np.random.default_rng(_PIXEL_SEED).random((*like.shape[:-1], 2))
    radius2, turn = np.moveaxis((own + [seed * step % 1.0 for step in _SPREAD]) % 1.0, -1, 0)
    angle = 2.0 * np.pi * turn
    points = np.sqrt(radius2)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return torch.from_numpy(points).to(like)


def _focused_in_plane(directions: Tensor, on_disc: Tensor, distance: float) -> tuple[Tensor, Tensor]:
    """Shifts of the origins across z, and unit directions to where the old rays have z = distance."""
    depth = directions[..., 2:]
    is_seen = depth > 0
    shift = torch.cat([on_disc, torch.zeros_like(depth)], dim=-1)
    to_focus = directions * (distance / torch.where(is_seen, depth, 1.0)) - shift
    return shift, normalised(to_focus) * is_seen


def _focused_around(directions: Tensor, on_disc: Tensor, distance: float) -> tuple[Tensor, Tensor]:
    """Shifts of the origins across unit directions, and unit directions to their old end at distance."""
    x, y, z = directions.unbind(-1)
    # Two unit vectors across each direction (Duff et al. 2017).
    sign = torch.where(z >= 0, 1.0, -1.0).to(z)
    a = -1.0 / (sign + z)
    b = x * y * a
    first = torch.stack([1.0 + sign * x * x * a, sign * b, -sign * x], dim=-1)
    second = torch.stack([b, sign + y * y * a, -y], dim=-1)
    shift = on_disc[..., :1] * first + on_disc[..., 1:] * second
    is_seen = (directions != 0).any(-1, keepdim=True)
    return shift, normalised(directions * distance - shift) * is_seen
