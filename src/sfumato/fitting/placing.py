"""Initialisation of 2D Gaussians: where the image has detail, later where the error is largest."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sfumato.fitting.ellipses_2d import CENTRE, COLOUR, COLOUR_FROM_RGB, COLUMNS, SIZE

# Initial standard deviation, as a share of the mean distance between Gaussians.
_START_SIZE, _LATER_SIZE = 0.35, 0.2
# Share of the first Gaussians that are placed by detail; the others are uniform.
_BY_DETAIL = 0.7


def detail(image: Tensor) -> Tensor:
    """[h, w] sampling weights of the first Gaussians, from the gradient of the brightness."""
    grey = image.mean(2)
    padded = torch.nn.functional.pad(grey[None], (1, 1, 1, 1), mode="replicate")[0]
    x, y = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
    slope = (x.square() + y.square()).sqrt()
    share = _BY_DETAIL * slope / slope.sum().clamp(min=1e-12)
    return share + (1 - _BY_DETAIL) / slope.numel()


def misfit(image: Tensor, target: Tensor) -> Tensor:
    """[h, w] sampling weights of later Gaussians, from the error."""
    return (image - target).abs().mean(2) + 1e-6


def placed(
    count: int, target: Tensor, weight: Tensor, generator: torch.Generator, *, spacing_px: float, later: bool
) -> Tensor:
    """Gaussians at random pixels, with the colours of these pixels.

    Args:
        count: how many.
        target: [h, w, 3] the image.
        weight: [h, w] sampling weights.
        generator: of the random numbers, on the CPU.
        spacing_px: mean distance between Gaussians, which determines their size.
        later: whether they are added during the optimisation.

    Returns:
        [count, 9] rows.
    """
    height, width = weight.shape
    # Inverse transform sampling, as torch.multinomial limits the number of pixels.
    ends = weight.reshape(-1).cpu().double().cumsum(0)
    at = torch.rand(count, generator=generator, dtype=torch.float64) * ends[-1]
    pixel = torch.searchsorted(ends, at).clamp(max=height * width - 1)
    within = torch.rand(count, 2, generator=generator)
    # The zeros mean an opacity of 1/2 and a circular shape.
    rows = torch.zeros(count, COLUMNS)
    rows[:, CENTRE] = torch.stack([pixel % width, pixel // width], dim=1) + within
    rows[:, SIZE] = math.log(spacing_px * (_LATER_SIZE if later else _START_SIZE))
    rows = rows.to(target.device)
    rgb = target.reshape(-1, 3)[pixel.to(target.device)]
    rows[:, COLOUR] = rgb @ rows.new_tensor(COLOUR_FROM_RGB).T
    return rows
