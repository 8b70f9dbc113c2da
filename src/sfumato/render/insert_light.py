"""Light between a scene and inserted meshes: illumination of diffuse meshes, and shadows."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.maths.sh import SH_C0, sh_basis
from sfumato.ops.mesh_hits import mesh_hits
from sfumato.scene.gaussians import Gaussians

# Between encoded colours and linear light.
GAMMA = 2.2
# Rays that gather light for a mesh, rays per Gaussian that test for shadow, and Gaussians per chunk.
LIGHT_RAYS, _SHADOW_RAYS, _CHUNK = 1024, 128, 8192
# Beyond this many radii a mesh blocks less than two hundredths of the light.
_REACH = 8.0
# Factor of each SH coefficient in irradiance, divided by pi (Ramamoorthi and Hanrahan 2001).
_LAMBERT = (1.0,) + (2 / 3,) * 3 + (1 / 4,) * 5


def sphere_directions(count: int, like: Tensor) -> Tensor:
    """[count, 3] unit vectors spread evenly over the sphere, on a Fibonacci spiral."""
    steps = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * steps + 1) / count
    turn = steps * (math.pi * (3 - math.sqrt(5)))
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * turn.cos(), radius * turn.sin(), z], dim=1).to(like)


def light_of(seen: Tensor, directions: Tensor) -> Tensor:
    """[9, 3] SH coefficients of the irradiance of a plane as a function of its normal.

    Args:
        seen: [m, 3] encoded colours seen along ``directions``.
        directions: [m, 3] unit vectors, spread evenly.
    """
    basis = sh_basis(directions, 2)
    radiance = seen.clamp_min(0) ** GAMMA
    return (basis.T @ radiance) * (4 * math.pi / len(seen)) * basis.new_tensor(_LAMBERT)[:, None]


def lit(light: Tensor, normals: Tensor, colour: Tensor) -> Tensor:
    """[m, 3] encoded colours of a diffuse surface with the given ``normals`` [m, 3] and ``colour`` [3]."""
    falling = (sh_basis(normals, 2)[..., None] * light).sum(1)
    return (falling.clamp_min(0) * colour**GAMMA) ** (1 / GAMMA)


def shadowed(gaussians: Gaussians, vertices: Tensor, faces: Tensor) -> Gaussians:
    """Darken Gaussians by the fraction of the light that a mesh blocks.

    The light is assumed to be uniform. A Gaussian's normal is its shortest axis, on the side of the mesh's
    centre; the fraction is that of the directions around the normal, weighted by their cosine, that hit
    the mesh.

    Args:
        gaussians: the scene.
        vertices, faces: [v, 3], [f, 3] of the mesh.
    """
    used = vertices[faces].reshape(-1, 3)
    low, high = used.amin(0), used.amax(0)
    centre, radius = 0.5 * (low + high), 0.5 * (high - low).norm()
    near_rows = ((gaussians.means - centre).norm(dim=1) < _REACH * radius).nonzero().squeeze(1)
    axes = rotation_from_quats(gaussians.quats[near_rows])
    shortest = gaussians.log_scales[near_rows].argmin(dim=1)
    normals = axes[torch.arange(len(near_rows), device=axes.device), :, shortest]
    means = gaussians.means[near_rows]
    away = ((centre - means) * normals).sum(1, keepdim=True) < 0
    normals = torch.where(away, -normals, normals)
    directions = sphere_directions(_SHADOW_RAYS, means)
    kept = means.new_ones(len(gaussians))
    for begin in range(0, len(near_rows), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        cosines = (normals[part] @ directions.T).clamp_min(0)
        rows, columns = cosines.nonzero(as_tuple=True)
        starts = means[part][rows]
        limits = starts.new_zeros(len(rows)) + 1e-4 * radius, starts.new_full((len(rows),), 1e30)
        hits = mesh_hits(vertices, faces, starts, directions[columns], *limits)
        taken = torch.where(hits.face >= 0, cosines[rows, columns], 0.0)
        blocked = torch.zeros_like(cosines[:, 0]).index_add_(0, rows, taken)
        kept[near_rows[part]] = (1 - blocked / cosines.sum(1).clamp_min(1e-9)).clamp(0, 1) ** (1 / GAMMA)
    sh = gaussians.sh * kept[:, None, None]
    # A colour is 0.5 plus the sum of its harmonics: the 0.5 is scaled through the constant one.
    sh[:, 0] -= (0.5 / SH_C0) * (1 - kept)[:, None]
    return replace(gaussians, sh=sh)
