"""Blending of values of Gaussians instead of colours, and the contribution of each Gaussian to a view.

The image is C = Σ c w, with the values c of the Gaussians and the blending weights w = α T. The gradient of
Σₚ gₚ Cₚ over pixels p with respect to c is therefore Σₚ w gₚ: the contribution of a Gaussian for g = 1, and
its share of the errors if g is the error of each pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.changes import in_colours
from sfumato.scene.gaussians import Gaussians

_LEAST_ALPHA = 1e-3


def painted(
    gaussians: Gaussians, values: Tensor, camera: Camera, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Blend values of Gaussians as colours are blended.

    Args:
        gaussians: the scene.
        values: [n, 3], positive.
        camera: any.
        settings: of the renderer.

    Returns:
        [h, w, 3] sums of value times blending weight, and the opacity [h, w].

    Gradients: values.
    """
    plain = replace(settings, background=(0.0, 0.0, 0.0), sh_degree=0, colour="sh", depth=False)
    render = draw(in_colours(gaussians, values), camera, plain)
    return render.image, render.alpha


@dataclass(frozen=True)
class Blended:
    """Contributions of Gaussians to a view, with blended values and depths.

    Attributes:
        sums: [n, 2] sums over pixels of each Gaussian's blending weight times two given weights of the pixel.
        values: [h, w] blended values of the Gaussians; 0 where nothing is rendered.
        distances: [n] of the Gaussians from the camera, scene units.
        surface: [h, w] distance of the rendered surface, scene units; 0 where there is none.
        alpha: [h, w] opacity.
    """

    sums: Tensor
    values: Tensor
    distances: Tensor
    surface: Tensor
    alpha: Tensor


def blend(
    gaussians: Gaussians, camera: Camera, settings: Settings, weights: Tensor, values: Tensor | None = None
) -> Blended:
    """Compute ``Blended`` with one rendering and its gradient.

    Args:
        gaussians: the scene, outside the autograd graph.
        camera: any.
        settings: of the renderer.
        weights: [h, w, 2] of the pixels.
        values: [n] of the Gaussians, positive; None: 0.5.
    """
    distances = (gaussians.means - camera.centre_world.to(gaussians.means)).norm(dim=1)
    unit = distances.median().clamp_min(torch.finfo(distances.dtype).tiny)
    half = torch.full_like(distances, 0.5)
    # The gradient does not depend on the values of a channel, so the second one can blend `values` as well.
    channels = torch.stack([half, half if values is None else values, distances / unit], dim=1)
    channels.requires_grad_()
    with torch.enable_grad():
        image, alpha = painted(gaussians, channels, camera, settings)
        (gradient,) = torch.autograd.grad((image[..., :2] * weights).sum(), channels)
    image, alpha = image.detach(), alpha.detach()
    return Blended(
        sums=gradient[:, :2],
        values=image[..., 1],
        distances=distances,
        surface=unit * image[..., 2] / alpha.clamp_min(_LEAST_ALPHA),
        alpha=alpha,
    )
