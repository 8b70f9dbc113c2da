"""Standard image quality metrics."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops.constants import SSIM_C1, SSIM_C2, SSIM_SIGMA_PX, SSIM_WINDOW_PX

# Variance below which a channel determines no gain: about that of a hundredth of an 8-bit step.
_NO_CONTRAST = 1e-9


def psnr(image: Tensor, target: Tensor, keep: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio of one image, in decibels.

    Args:
        image:  [h, w, 3] values in [0, 1]; others are clamped.
        target: [h, w, 3] values in [0, 1].
        keep: [h, w] bool, the pixels that count; None: all.

    Returns:
        -10 log10 of the mean squared difference over pixels and channels; infinity for equal images, NaN
        if no pixel counts.

    Raises:
        ShapeError: shapes differ, or are not these.
    """
    first, second = _checked(image, target, keep)
    squares = (first - second).square()
    return float(-10 * torch.log10((squares if keep is None else squares[keep]).mean()))


def with_affine_colour(image: Tensor, target: Tensor, keep: Tensor | None = None) -> Tensor:
    """An image with the gain and offset of ``affine_colour``, [h, w, 3] float64, not clamped.

    Differences that remain are not due to exposure or white balance.
    """
    x, y = _checked(image, target, keep)
    gain, offset = _fitted(x, y, keep)
    return gain * x + offset


def affine_colour(image: Tensor, target: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Gain and offset of each channel that fit an image to a photograph.

    Args:
        image:  [h, w, 3] values in [0, 1]; others are clamped.
        target: [h, w, 3] values in [0, 1].
        keep: [h, w] bool, the pixels that are compared; None: all.

    Returns:
        [3] and [3] float64, by least squares over the compared pixels; 1 and 0 without such pixels. The gain
        of a channel without contrast is 1.

    Raises:
        ShapeError: shapes differ, or are not these.
    """
    return _fitted(*_checked(image, target, keep), keep)


def _fitted(x: Tensor, y: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
    """See ``affine_colour``; of images that are checked."""
    first, second = (x, y) if keep is None else (x[keep], y[keep])
    first, second = first.reshape(-1, 3), second.reshape(-1, 3)
    if not len(first):
        return x.new_ones(3), x.new_zeros(3)
    mean_x, mean_y = first.mean(dim=0), second.mean(dim=0)
    variance = (first - mean_x).square().mean(dim=0)
    covariance = ((first - mean_x) * (second - mean_y)).mean(dim=0)
    gain = torch.where(variance > _NO_CONTRAST, covariance / variance.clamp(min=_NO_CONTRAST), 1.0)
    return gain, mean_y - gain * mean_x


def ssim(image: Tensor, target: Tensor, keep: Tensor | None = None) -> float:
    """Mean structural similarity of one image: window 11x11, sigma 1.5 px, zeros beyond the border.

    Args:
        image:  [h, w, 3] values in [0, 1]; others are clamped.
        target: [h, w, 3] values in [0, 1].
        keep: [h, w] bool, the pixels that count; None: all. Others are black in both images, as in the
            training loss, so that they do not influence their neighbours.

    Returns:
        The mean over counted pixels and channels, 1 for equal images; NaN if no pixel counts.

    Raises:
        ShapeError: shapes differ, or are not these.

    Source: Wang et al. 2004; equal to ``sfumato.ops.reference.photometric.ssim`` in float64, ten times
    as fast because SciPy's filter uses the symmetry of the window.
    """
    x, y = (tensor.cpu().numpy() for tensor in _checked(image, target, keep))
    counted = None if keep is None else keep.cpu().numpy()
    if counted is not None:
        if not counted.any():
            return math.nan
        x, y = x * counted[..., None], y * counted[..., None]
    # Channel by channel: the maps of all three would take half a gigabyte for a large photograph.
    maps = (_similarity(x[..., channel], y[..., channel]) for channel in range(3))
    return fmean(float((found if counted is None else found[counted]).mean()) for found in maps)


def _similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The SSIM [h, w] around each pixel of two images [h, w]."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x = _blurred(x * x) - mean_x * mean_x
    var_y = _blurred(y * y) - mean_y * mean_y
    cov_xy = _blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x * mean_x + mean_y * mean_y + SSIM_C1)
    contrast_structure = (2 * cov_xy + SSIM_C2) / (var_x + var_y + SSIM_C2)
    return luminance * contrast_structure


def _blurred(values: np.ndarray) -> np.ndarray:
    """Gaussian-window average of [h, w], with zeros beyond the border."""
    offsets = np.arange(SSIM_WINDOW_PX) - SSIM_WINDOW_PX // 2
    window = np.exp(-(offsets**2) / (2 * SSIM_SIGMA_PX**2))
    window /= window.sum()
    rows = correlate1d(values, window, axis=0, mode="constant")
    return correlate1d(rows, window, axis=1, mode="constant")


def _checked(image: Tensor, target: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
    """Both images as clamped float64, without gradients."""
    check_shapes(
        like=None,
        image=(image, "h w 3"),
        target=(target, "h w 3"),
        **({} if keep is None else {"keep": (keep, "h w")}),
    )
    return (
        image.detach().to(torch.float64).clamp(0, 1),
        target.detach().to(image.device, torch.float64).clamp(0, 1),
    )
