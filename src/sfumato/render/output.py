"""What a render returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SeenGaussians:
    """What a view saw of each Gaussian.

    Attributes:
        visible: [n] bool, whether it may have touched the image.
        radius_px: [n, 2] int32 half sizes of the box in which its alpha reaches 1/255; 0 if not.
        mean_px: [n, 2] centre of its ellipse; call ``retain_grad`` to read its gradient.
        absolute_gradient_probe: [n, 2] leaf whose ``grad`` is, after a backward pass, the sum over
            pixels of the absolute gradient of ``mean_px``; None if it was not asked for.
    """

    visible: Tensor
    radius_px: Tensor
    mean_px: Tensor
    absolute_gradient_probe: Tensor | None


@dataclass(frozen=True)
class Render:
    """A picture of a scene.

    Attributes:
        image: [h, w, 3] RGB over the background; not bounded above 1.
        alpha: [h, w] 1 - transmittance.
        depth: [h, w] expected camera z, scene units, 0 where alpha is 0; None if not asked for.
        seen: per Gaussian.
    """

    image: Tensor
    alpha: Tensor
    depth: Tensor | None
    seen: SeenGaussians
