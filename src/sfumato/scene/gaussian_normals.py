"""Normals of Gaussians: their shortest axes, and Gaussians in the colours of normals."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.scene.changes import in_colours
from sfumato.scene.gaussians import Gaussians

# The colour of no normal.
NO_NORMAL = (0.5, 0.5, 0.5)


def facing_normals(gaussians: Gaussians, eye: Tensor) -> Tensor:
    """Unit vectors along the shortest axes, on the side of a point.

    Args:
        gaussians: n of them.
        eye: [3] the point, world frame.

    Returns:
        [n, 3] world frame.

    Gradients: gaussians.quats.
    """
    shortest = gaussians.log_scales.detach().argmin(dim=1)
    rotations = rotation_from_quats(gaussians.quats)
    normals = rotations.gather(2, shortest[:, None, None].expand(-1, 3, 1))[..., 0]
    with torch.no_grad():
        away = ((eye.to(normals) - gaussians.means) * normals).sum(dim=1, keepdim=True) < 0
    return torch.where(away, -normals, normals)


def coloured_by_normals(gaussians: Gaussians, normals: Tensor) -> Gaussians:
    """The Gaussians in the colour (1 + normal) / 2 from everywhere.

    Args:
        gaussians: n of them.
        normals: [n, 3] unit vectors in any frame.

    Gradients: normals, and every other field of ``gaussians``.
    """
    return in_colours(gaussians, 0.5 + 0.5 * normals)
