"""Spherical harmonics to colours, and the gradient."""

import math

import torch

from sfumato.ops.gpu.kernels.harmonics import colour_backward, colour_forward
from sfumato.ops.gpu.launch import programs_over, start_elementwise

# Offset added to the sum, and lower bound of the result: for colours, and for the plain sum.
_OFFSET_AND_FLOOR = ((0.5, 0.0), (0.0, -math.inf))


def forward(sh, means, camera_centre, degree, visible, plain_sum):
    """See sfumato.ops.colour; ``plain_sum``: without the offset and the floor of colours."""
    given = [tensor.contiguous() for tensor in (sh, means, camera_centre, visible.view(torch.uint8))]
    colours = torch.empty_like(given[1])
    start_elementwise(
        colour_forward, len(sh), *given, colours, 3 * sh.shape[1], *_OFFSET_AND_FLOOR[plain_sum],
        COEFFICIENTS=(degree + 1) ** 2,
    )  # fmt: skip
    return colours


def backward(grad, colours, sh, means, camera_centre, degree, visible, plain_sum):
    """Gradients with respect to the coefficients, the means and the camera centre."""
    given = [
        tensor.contiguous() for tensor in (grad, colours, sh, means, camera_centre, visible.view(torch.uint8))
    ]
    to_sh, to_means = torch.zeros_like(given[2]), torch.empty_like(given[3])
    to_centre = sh.new_empty(programs_over(len(sh)), 3)
    start_elementwise(
        colour_backward, len(sh), *given, to_sh, to_means, to_centre, 3 * sh.shape[1],
        _OFFSET_AND_FLOOR[plain_sum][1], COEFFICIENTS=(degree + 1) ** 2,
    )  # fmt: skip
    return to_sh, to_means, to_centre.sum(0, dtype=torch.float64).to(sh.dtype)
