"""Where new 2D Gaussians begin: where the image has detail, and where its fit is worst."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sfumato.fitting.ellipses_2d import CENTRE, COLOUR, COLOUR_FROM_RGB, COLUMNS, SIZE

# Standard deviation of a Gaussian that begins, as a share of the mean distance between them.
_START_SIZE, _LATER_SIZE = 0.35, 0.2
# Shares of the first Gaussians that go where the image has detail; the others lie evenly.
_BY_DETAIL = 0.7


def detail(image: Tensor) -> Tensor:
    """Weights of the pixels for the first Gaussians, [h, w], from the gradient of the brightness."""
    grey = image.mean(2)
    padded = torch.nn.functional.pad(grey[None], (1, 1, 1, 1), mode="replicate")[0]
    x, y = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
    slope = (x.square() + y.square()).sqrt()
    share = _BY_DETAIL * slope / slope.sum().clamp(min=1e-12)
    return share + (1 - _BY_DETAIL) / slope.numel()


def misfit(image: Tensor, target: Tensor) -> Tensor:
    """Weights of the pixels for later Gaussians, [h, w]."""
    return (image - target).abs().mean(2) + 1e-6


def placed(
    count: int, target: Tensor, weight: Tensor, generator: torch.Generator, *, spacing_px: float, later: bool
) -> Tensor:
    """Gaussians at random pixels, in the colours that the image has there.

    Args:
        count: how many.
        target: [h, w, 3] the image.
        weight: [h, w] the pixels' share of the Gaussians.
        generator: of the random numbers, on the host.
        spacing_px: mean distance between Gaussians, from which their size follows.
        later: whether they join others.

    Returns:
        [count, 9] rows.
    """
    height, width = weight.shape
    # A sum of shares and evenly random numbers: unlike multinomial, without a limit to the number of pixels.
    ends = weight.reshape(-1).cpu().double().cumsum(0)
    at = torch.rand(count, generator=generator, dtype=torch.float64) * ends[-1]
    pixel = torch.searchsorted(ends, at).clamp(max=height * width - 1)
    within = torch.rand(count, 2, generator=generator)
    # A logit of 0 is an opacity of a half, and u and v of 0 are a circle.
    rows = torch.zeros(count, COLUMNS)
    rows[:, CENTRE] = torch.stack([pixel % width, pixel // width], dim=1) + within
    rows[:, SIZE] = math.log(spacing_px * (_LATER_SIZE if later else _START_SIZE))
    rows = rows.to(target.device)
    rgb = target.reshape(-1, 3)[pixel.to(target.device)]
    rows[:, COLOUR] = rgb @ rows.new_tensor(COLOUR_FROM_RGB).T
    return rows
