"""Positions and contributions of Gaussians in an image, without rendering it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.ops.constants import ALPHA_MAX, ALPHA_MIN
from sfumato.render.projection import ellipses_of
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Footprints:
    """Boxes of n Gaussians in an image.

    Attributes:
        mean_px: [n, 2] centres of their ellipses.
        radius_px: [n, 2] int32 half sizes of the boxes in which alpha reaches 1/255; 0 where none does.
    """

    mean_px: Tensor
    radius_px: Tensor


@torch.no_grad()
def footprints(gaussians: Gaussians, camera: Camera, settings: RasterSettings) -> Footprints:
    """The boxes in which ``rasterize`` would draw each Gaussian.

    Args:
        gaussians: the scene.
        camera: an ideal one: pinhole, orthographic or fisheye, with a global shutter.
        settings: of the rasterizer.
    """
    projected = ellipses_of(gaussians, camera, settings).projected
    return Footprints(projected.mean_px, projected.radius_px)


@torch.no_grad()
def contributions(
    gaussians: Gaussians, camera: Camera, settings: RasterSettings, x: float, y: float
) -> tuple[Tensor, Tensor]:
    """The Gaussians that contribute to a pixel of ``rasterize``, and their weights.

    Args:
        gaussians, camera, settings: see ``footprints``.
        x, y: position in the image, pixels; the centre of the first pixel is (0.5, 0.5).

    Returns:
        [k] int64 rows of the Gaussians that touch the pixel, front to back, and [k] their weights: alpha
        times the transmittance in front of each.
    """
    projected, opacities, _ = ellipses_of(gaussians, camera, settings)
    offset = torch.tensor([x, y]).to(projected.mean_px) - projected.mean_px
    rows = torch.nonzero((offset.abs() <= projected.radius_px).all(1) & (projected.radius_px[:, 0] > 0))[:, 0]
    rows = rows[projected.depth[rows].argsort(stable=True)]
    dx, dy = offset[rows].unbind(1)
    a, b, c = projected.conic[rows].unbind(1)
    response = torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)
    alpha = (opacities[rows] * response).clamp(max=ALPHA_MAX)
    alpha = torch.where(alpha < ALPHA_MIN, 0.0, alpha)
    through = torch.cumprod(torch.cat([alpha.new_ones(1), 1 - alpha]), 0)[:-1]
    return rows, alpha * through
