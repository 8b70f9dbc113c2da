"""L1 (or squared) plus SSIM loss, with its gradient."""

import functools

import torch

from sfumato.ops.constants import SSIM_SIGMA_PX, SSIM_WINDOW_PX
from sfumato.ops.gpu.kernels.similarity import (
    photometric_gradient,
    slopes_along_rows,
    ssim_along_rows,
    ssim_statistics,
)
from sfumato.ops.gpu.launch import programs_over, start_elementwise


def forward(image, target, weight, ssim_weight, pixel_loss):
    """The loss and the gradient of the image; see sfumato.ops.photometric_loss."""
    (height, width, _), n = image.shape, image.numel()
    image, target, weight = image.contiguous(), target.contiguous(), weight.contiguous()
    weighted, run, taps = weight.numel() > 0, 3 * width, _taps(image.device)
    maps, slopes, ssim = image.new_empty(4, n), image.new_empty(3, n), image.new_empty(n)
    start_elementwise(ssim_along_rows, n, image, target, weight, taps, maps, run, WEIGHTED=weighted)
    start_elementwise(ssim_statistics, n, maps, taps, ssim, slopes, run, height)
    start_elementwise(slopes_along_rows, n, slopes, weight, taps, maps, run, WEIGHTED=weighted)
    # Kept on the device, to avoid a synchronisation for the sum of the weights.
    total = 3 * weight.sum(dtype=torch.float64) if weighted else image.new_full((), n, dtype=torch.float64)
    share = torch.where(total > 0, 1 / total, 0.0).to(image.dtype)
    gradient, losses = torch.empty_like(image), image.new_empty(programs_over(n))
    start_elementwise(
        photometric_gradient, n, image, target, weight, ssim, maps, taps, share, ssim_weight, 1 - ssim_weight,
        gradient, losses, run, height,
        WEIGHTED=weighted, ABSOLUTE=pixel_loss == "l1",
    )  # fmt: skip
    return losses.sum(dtype=torch.float64).to(image.dtype), gradient


@functools.cache
def _taps(device):
    """The window of SSIM."""
    places = torch.arange(SSIM_WINDOW_PX, device=device, dtype=torch.float64) - SSIM_WINDOW_PX // 2
    window = torch.exp(-((places / SSIM_SIGMA_PX) ** 2) / 2)
    return (window / window.sum()).float()
