"""Definition of ray tracing along free rays, each with its own origin."""

import torch
from torch import Tensor

from sfumato.ops.reference.colour import colour
from sfumato.ops.reference.trace import sound, trace


def trace_rays(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    features: Tensor,
    origins: Tensor,
    directions: Tensor,
    background: Tensor,
    *,
    near: float | Tensor,
    far: float | Tensor,
    degree: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Blend Gaussians front to back along rays, with colours evaluated from each ray's origin.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        opacities: [n] peak opacities.
        origins: [m, 3] of the rays, world frame, scene units.
        directions: [m, 3] of any length.
        background: [d] value behind everything.
        near, far: distances along the ray between which hits are kept, scene units.
        features: [n, d] values to blend, or [n, k, 3] spherical harmonics.
        degree: of the spherical harmonics, 0 to 3; None where ``features`` are values.

    Returns:
        image [m, d]; alpha [m]; distance [m], as in ``trace``.

    Gradients: all tensors, as in ``trace`` and ``colour``.
    """
    colours = features
    if degree is not None:
        seen = sound(means, quats, scales, opacities)
        each = [colour(features, means, origin, degree, seen) for origin in origins]
        colours = torch.stack(each) if each else features.new_zeros(0, len(means), 3)
    return trace(
        means, quats, scales, opacities, colours, origins, directions, background, near=near, far=far
    )
