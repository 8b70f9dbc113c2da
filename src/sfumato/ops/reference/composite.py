"""Definition of compositing: front-to-back alpha blending of ellipses."""

import torch
from torch import Tensor

from sfumato.ops.constants import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP


class _MeansPerPixel(torch.autograd.Function):
    """One copy of every mean per pixel, which gives access to per-pixel gradients before they are summed."""

    @staticmethod
    def forward(ctx, mean_px: Tensor, probe: Tensor, height: int, width: int) -> Tensor:
        return mean_px[:, None, None, :].expand(-1, height, width, -1).clone()

    @staticmethod
    def backward(ctx, grad_copies: Tensor):
        return grad_copies.sum((1, 2)), grad_copies.abs().sum((1, 2)), None, None


def _front_to_back(depth: Tensor, radius_px: Tensor) -> list[int]:
    order = torch.sort(depth, stable=True).indices
    return order[(radius_px[order] > 0).all(-1)].tolist()


def composite(
    mean_px: Tensor,
    conic: Tensor,
    opacities: Tensor,
    colours: Tensor,
    depth: Tensor,
    radius_px: Tensor,
    background: Tensor,
    *,
    width: int,
    height: int,
    absgrad_probe: Tensor | None = None,
    alpha_min: float = ALPHA_MIN,
    transmittance_stop: float = TRANSMITTANCE_STOP,
) -> tuple[Tensor, Tensor]:
    """Blend ellipses front to back over a background.

    alpha = min(0.999, opacity * exp(-sigma)) with sigma = (a dx^2 + c dy^2) / 2 + b dx dy at the pixel's
    centre. A pair with alpha < 1/255 or sigma < 0 is skipped. A pixel stops before the Gaussian that
    would bring its transmittance to 1e-4 or below.

    Args:
        mean_px: [n, 2] centres, pixels.
        conic: [n, 3] inverse covariances as (a, b, c), 1/px^2.
        opacities: [n] peak opacities.
        colours: [n, d] values to blend, d channels.
        depth: [n] order of blending, nearest first; equal depths keep the order of the rows.
        radius_px: [n, 2] int32; a Gaussian with 0 on either axis is not drawn. Not used otherwise.
        background: [d] value behind everything.
        width: of the image, pixels.
        height: of the image, pixels.
        absgrad_probe: [n, 2] or None; its value is not read, its gradient is the sum over the pixels of
            the absolute gradient of ``mean_px``.
        alpha_min: pairs below are skipped; 0 makes the image smooth, for finite differences.
        transmittance_stop: where a pixel stops; 0 for never.

    Returns:
        The image [height, width, d] and alpha [height, width], which is 1 - final transmittance.

    Gradients: mean_px, conic, opacities, colours, background. None to sigma and opacity of a pair clamped at
        0.999, and none through the order, the skipping and the stop.

    Source: Kerbl et al. 2023; Deybach 2025, eq. 3 with alpha = o exp(-sigma) (as printed, it is wrong).
    """
    shape = (height, width)
    ys = torch.arange(height, dtype=mean_px.dtype, device=mean_px.device)[:, None] + 0.5
    xs = torch.arange(width, dtype=mean_px.dtype, device=mean_px.device)[None, :] + 0.5
    if absgrad_probe is None:
        means_at = mean_px[:, None, None, :].expand(-1, height, width, -1)
    else:
        means_at = _MeansPerPixel.apply(mean_px, absgrad_probe, height, width)

    # A zero that depends on every input, so that backward runs even if nothing is blended.
    tied = mean_px[:0].sum() + conic[:0].sum() + opacities[:0].sum() + colours[:0].sum()
    transmittance = 1 + tied.expand(shape)
    image = tied.expand(*shape, colours.shape[1])
    running = torch.ones(shape, dtype=torch.bool, device=mean_px.device)
    # Unbound once: the gradient of each index into a tensor would be as large as the whole tensor.
    means_x, means_y = (part.unbind() for part in means_at.unbind(-1))
    conics, peaks, values = conic.unbind(), opacities.unbind(), colours.unbind()
    for i in _front_to_back(depth.detach(), radius_px):
        dx, dy = means_x[i] - xs, means_y[i] - ys
        a, b, c = conics[i]
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        # exp of a large negative sigma would overflow, and its gradient be NaN although the pair is skipped.
        alpha = (peaks[i] * torch.exp(-sigma.clamp_min(0.0))).clamp_max(ALPHA_MAX)
        blended = running & (sigma >= 0) & (alpha >= alpha_min)
        after = transmittance * (1 - alpha)
        stopped = blended & (after <= transmittance_stop)
        running = running & ~stopped
        blended = blended & ~stopped
        weight = torch.where(blended, alpha * transmittance, 0.0)
        image = image + weight[..., None] * values[i]
        transmittance = torch.where(blended, after, transmittance)
    return image + transmittance[..., None] * background, 1 - transmittance
