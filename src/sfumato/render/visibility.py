"""Positions and contributions of Gaussians in an image, without rendering it."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from sfumato import ops
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


def visible_shares(gaussians: Gaussians, camera: Camera, settings: RasterSettings) -> Tensor:
    """How much of each Gaussian is visible in an image of ``rasterize``.

    Args:
        gaussians, camera, settings: see ``footprints``.

    Returns:
        [n] the sum of a Gaussian's contributions to all pixels, as a share of the integral of its alpha where
        this is at least 1/255: the mean transmittance in front of it. What lies outside the image does
        not contribute; 0 where nothing does.
    """
    with torch.no_grad():
        projected, opacities, _ = ellipses_of(gaussians, camera, settings)
    # The derivative of the sum of an image with respect to a colour is the sum of its weights. There are
    # three channels because the kernels for three are compiled anyway.
    colours = opacities.new_zeros(len(opacities), 3).requires_grad_()
    with torch.enable_grad():
        image, _ = ops.composite(
            projected.mean_px,
            projected.conic,
            opacities,
            colours,
            projected.depth,
            projected.radius_px,
            opacities.new_zeros(3),
            width=camera.width,
            height=camera.height,
        )
        (weights,) = torch.autograd.grad(image[..., 0].sum(), colours)
    a, b, c = projected.conic.unbind(1)
    alone = 2 * pi * (opacities - ALPHA_MIN) / (a * c - b * b).sqrt()
    shown = (projected.radius_px[:, 0] > 0) & (opacities > ALPHA_MIN)
    return torch.where(shown, weights[:, 0] / alone, 0.0)
