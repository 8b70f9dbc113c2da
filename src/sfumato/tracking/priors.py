"""Small priors on Gaussians over time; those on neighbours are ``ops.motion_priors``.

Lengths are divided by one that is given, such as the mean distance of neighbours. Each is 0 without
Gaussians.
"""

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised


def below_floor(means: Tensor, up: Tensor, height: float, length: float) -> Tensor:
    """How far Gaussians are below a floor, on the mean.

    Args:
        means: [n, 3] world frame, scene units.
        up: [3] unit normal of the floor, away from what is below it.
        height: of the floor along ``up``, scene units.
        length: scene units.

    Returns:
        [] the mean of max(0, height - up . mean) / length.

    Gradients: means.

    Source: the published code of Luiten et al. 2024.
    """
    return (height - means @ up).clamp(min=0).sum() / (length * max(len(means), 1))


def displacement(
    means: Tensor, quats: Tensor, first_means: Tensor, first_quats: Tensor, length: float
) -> Tensor:
    """How far Gaussians of what stands still are from where they were in the first step.

    Args:
        means, first_means: [n, 3] now and in the first step, scene units.
        quats, first_quats: [n, 4] likewise, as (w, x, y, z), any non-zero length.
        length: scene units.

    Returns:
        [] the mean over the Gaussians of |mean - first mean|_1 / length + |q - s q_first|_1, of unit
        quaternions with s = 1 or -1, the sign that brings them nearer.

    Gradients: all tensors.

    Source: Luiten et al. 2024, whose quaternions keep their signs.
    """
    now, first = normalised(quats), normalised(first_quats)
    sign = torch.where((now * first).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    moved, turned = (means - first_means).abs().sum() / length, (now - sign * first).abs().sum()
    return (moved + turned) / max(len(means), 1)


def colour_change(colours: Tensor, previous_colours: Tensor) -> Tensor:
    """How far colours are from those of the step before.

    Args:
        colours, previous_colours: [n, ...] colours or their coefficients.

    Returns:
        [] the mean over the Gaussians of the sum of absolute differences.

    Gradients: both.

    Source: the published code of Luiten et al. 2024.
    """
    return (colours - previous_colours).abs().sum() / max(len(colours), 1)
