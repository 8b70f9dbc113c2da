"""Image quality as the field computes it."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops.reference import photometric


def psnr(image: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio of one image, in decibels.

    Args:
        image:  [h, w, 3] values in [0, 1]; what lies outside is clamped.
        target: [h, w, 3] values in [0, 1].

    Returns:
        -10 log10 of the mean squared difference over pixels and channels; infinity for equal images.

    Raises:
        ShapeError: the two have different or other shapes.
    """
    first, second = _checked(image, target)
    return float(-10 * torch.log10((first - second).square().mean()))


def ssim(image: Tensor, target: Tensor) -> float:
    """Mean structural similarity of one image: window 11x11, sigma 1.5 px, zeros beyond the border.

    Args:
        image:  [h, w, 3] values in [0, 1]; what lies outside is clamped.
        target: [h, w, 3] values in [0, 1].

    Returns:
        The mean over pixels and channels, 1 for equal images.

    Raises:
        ShapeError: the two have different or other shapes.

    Source: Wang et al. 2004.
    """
    first, second = _checked(image, target)
    return float(photometric.ssim(first, second))


def _checked(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both images as clamped float64, outside the autograd graph."""
    check_shapes(image=(image, "h w 3"), target=(target, "h w 3"))
    return (
        image.detach().to(torch.float64).clamp(0, 1),
        target.detach().to(image.device, torch.float64).clamp(0, 1),
    )
