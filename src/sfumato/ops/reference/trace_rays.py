"""Definition of ray tracing along free rays, each of which may begin elsewhere."""

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
    near: float,
    far: float,
    degree: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Blend Gaussians front to back along rays, in the colours that each ray's origin sees.

    Args:
        means, quats, scales, opacities, origins, directions, background, near, far: as in ``trace``.
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
