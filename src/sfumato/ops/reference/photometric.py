"""Definition of the photometric loss and of SSIM."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.ops.constants import SSIM_C1, SSIM_C2, SSIM_SIGMA_PX, SSIM_WINDOW_PX


def _blurred(maps: Tensor) -> Tensor:
    """Gaussian-window average of maps [h, w, d], with zeros beyond the border."""
    offsets = torch.arange(SSIM_WINDOW_PX, dtype=maps.dtype, device=maps.device) - SSIM_WINDOW_PX // 2
    window = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA_PX**2))
    window = window / window.sum()
    planes = maps.permute(2, 0, 1)[:, None]
    planes = F.conv2d(planes, window[None, None, :, None], padding=(SSIM_WINDOW_PX // 2, 0))
    planes = F.conv2d(planes, window[None, None, None, :], padding=(0, SSIM_WINDOW_PX // 2))
    return planes[:, 0].permute(1, 2, 0)


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of two images around each pixel, per channel.

    Args:
        image: [h, w, d] values in [0, 1].
        target: [h, w, d] values in [0, 1].

    Returns:
        [h, w, d], 1 where the two agree. Window 11x11 with sigma 1.5, zeros beyond the border.

    Gradients: image, target.

    Source: Wang et al. 2004.
    """
    mean_x, mean_y = _blurred(image), _blurred(target)
    var_x = _blurred(image * image) - mean_x**2
    var_y = _blurred(target * target) - mean_y**2
    cov_xy = _blurred(image * target) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    contrast_structure = (2 * cov_xy + SSIM_C2) / (var_x + var_y + SSIM_C2)
    return luminance * contrast_structure


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of two images.

    Args:
        image: [h, w, d] values in [0, 1].
        target: [h, w, d] values in [0, 1].

    Returns:
        [] the mean of :func:`ssim_map`.

    Gradients: image, target.
    """
    return ssim_map(image, target).mean()


def photometric_loss(
    image: Tensor, target: Tensor, weight: Tensor | None, *, ssim_weight: float, pixel_loss: str
) -> Tensor:
    """Loss (1 - ssim_weight) * pixel + ssim_weight * (1 - SSIM) between a render and a photograph.

    Args:
        image: [h, w, 3] render.
        target: [h, w, 3] photograph.
        weight: [h, w] weight of each pixel in both terms, or None for equal ones. SSIM then compares the
            two images multiplied by it, so that pixels of weight 0 have no influence.
        ssim_weight: share of the SSIM term, 0 to 1.
        pixel_loss: "l1" (absolute differences) or "mse" (squared ones).

    Returns:
        [] the loss; 0 when all weights are 0.

    Raises:
        ConfigError: ``pixel_loss`` is neither of the two.

    Gradients: image, target.

    Source: Kerbl et al. 2023, with D-SSIM = 1 - SSIM.
    """
    if pixel_loss not in ("l1", "mse"):
        raise ConfigError(f'pixel_loss {pixel_loss!r} is unknown: give "l1" or "mse"')
    difference = image - target
    pixel = difference.abs() if pixel_loss == "l1" else difference**2
    if weight is None:
        return (1 - ssim_weight) * pixel.mean() + ssim_weight * (1 - ssim(image, target))
    weight = weight[..., None]
    dissimilarity = 1 - ssim_map(image * weight, target * weight)
    total = image.shape[-1] * weight.sum()
    loss = (weight * ((1 - ssim_weight) * pixel + ssim_weight * dissimilarity)).sum()
    return loss / torch.where(total > 0, total, 1.0)
