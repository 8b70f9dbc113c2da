"""Definition of the priors on how neighbouring Gaussians move."""

import torch
from torch import Tensor

from sfumato.maths.quaternions import conjugate, normalised, quat_product, rotation_from_quats
from sfumato.ops.constants import MOTION_TOLERANCE


def motion_priors(
    means: Tensor,
    quats: Tensor,
    previous_means: Tensor,
    previous_quats: Tensor,
    neighbours: Tensor,
    weights: Tensor,
    rest_distances: Tensor,
) -> Tensor:
    """Local rigidity, rotation similarity and isometry of a step.

    Args:
        means: [n, 3] in this step, world frame, scene units.
        quats: [n, 4] in this step, world_from_local as (w, x, y, z), any non-zero length.
        previous_means: [n, 3] in the previous step.
        previous_quats: [n, 4] in the previous step.
        neighbours: [n, k] int32 rows of the neighbours of each Gaussian, -1 for none.
        weights: [n, k] of the neighbours.
        rest_distances: [n, k] distances of the neighbours in the first step, scene units.

    Returns:
        [3]; see :func:`sfumato.ops.motion_priors`.

    Gradients: all but ``neighbours``.

    Source: Luiten et al. 2024.
    """
    n = len(means)
    is_edge = neighbours >= 0
    rows = torch.arange(n, device=means.device)[:, None]
    others = torch.where(is_edge, neighbours, rows).long()
    weights, rest = torch.where(is_edge, weights, 0.0), torch.where(is_edge, rest_distances, 0.0)
    length = rest.sum() / is_edge.sum().clamp(min=1)
    length = torch.where(length > 0, length, 1.0)

    rotations = quat_product(normalised(quats), conjugate(normalised(previous_quats)))
    offsets = means[others] - means[:, None]
    before = previous_means[others] - previous_means[:, None]
    # Row vectors: x R is R^T x.
    rigidity = (offsets @ rotation_from_quats(rotations) - before) / length
    own = rotations[:, None].expand(-1, others.shape[1], -1)
    # q and -q are the same rotation.
    sign = torch.where((rotations[others] * own).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    rotation = rotations[others] - sign * own
    isometry = (torch.linalg.vector_norm(offsets, dim=-1, keepdim=True) - rest[..., None]) / length
    sums = [(weights * _charbonnier(residual)).sum() for residual in (rigidity, rotation, isometry)]
    return torch.stack(sums) / max(n, 1)


def _charbonnier(residuals: Tensor) -> Tensor:
    """sqrt(|x|^2 + c^2) - c over the last axis, in a form that loses no digits near zero."""
    squared = residuals.square().sum(-1)
    return squared / ((squared + MOTION_TOLERANCE**2).sqrt() + MOTION_TOLERANCE)
