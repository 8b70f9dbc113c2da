"""What a picture is made of: values of Gaussians blended as colours are, and what each Gaussian contributes.

With values c of the Gaussians the image is Σ c w, w = α T the blending weight of a Gaussian at a pixel; so
the gradient of Σₚ gₚ Cₚ with respect to c is Σₚ w gₚ: contributions with g = 1, errors with g the error of
the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.maths.sh import SH_C0
from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
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
    render = draw(replace(gaussians, sh=((values - 0.5) / SH_C0)[:, None]), camera, plain)
    return render.image, render.alpha


@dataclass(frozen=True)
class Blended:
    """A picture taken apart.

    Attributes:
        sums: [n, 2] each Gaussian's blending weights times two weights of the pixels, summed over pixels.
        values: [h, w] given values of the Gaussians, blended; 0 where nothing is.
        distances: [n] of the Gaussians from the camera, scene units.
        surface: [h, w] distance of what is seen, scene units; 0 where nothing is.
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
    """Take a picture apart, in one rendering and its gradient.

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
    # The gradient with respect to a value does not depend on it, so that its channel can bring something.
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
