"""Results of a render."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.render.png import to_png, to_uint8

# Keeps 0 / 0 at 0 where nothing is seen.
_LEAST_ALPHA = 1e-10


class RenderedGaussians(Protocol):
    """Per-Gaussian results of rendering a view.

    Attributes:
        visible: [n] bool, whether it may have touched the image.
    """

    @property
    def visible(self) -> Tensor: ...

    def retain_gradients(self) -> None:
        """Retain the gradient that ``screen_gradient`` reads after the backward pass."""

    def screen_gradient(self) -> Tensor | None:
        """[n] gradient norm of the loss with respect to image position, in half-image units.

        Available after a backward pass; None if no gradient arrived. With the absolute gradient, absolute
        values are summed over pixels before the norm.
        """


@dataclass(frozen=True)
class RasterizedGaussians:
    """Per-Gaussian results of rasterizing a view; see ``RenderedGaussians``.

    Attributes:
        visible: [n] bool, whether it may have touched the image.
        radius_px: [n, 2] int32 half sizes of the box in which its alpha reaches 1/255; 0 if not.
        mean_px: [n, 2] centre of its ellipse; call ``retain_grad`` to read its gradient.
        absolute_gradient_probe: [n, 2] leaf whose ``grad`` is, after a backward pass, the sum over
            pixels of the absolute gradient of ``mean_px``; None if it is not computed.
        size_px: (width, height) of the image.
    """

    visible: Tensor
    radius_px: Tensor
    mean_px: Tensor
    absolute_gradient_probe: Tensor | None
    size_px: tuple[int, int]

    def retain_gradients(self) -> None:
        """As of ``RenderedGaussians``."""
        # Without a gradient if all that positions depend on is frozen.
        if self.mean_px.requires_grad:
            self.mean_px.retain_grad()

    def screen_gradient(self) -> Tensor | None:
        """As of ``RenderedGaussians``."""
        leaf = self.mean_px if self.absolute_gradient_probe is None else self.absolute_gradient_probe
        if leaf.grad is None:
            return None
        return norm_in_half_images(leaf.grad, self.size_px)


def norm_in_half_images(gradient: Tensor, size_px: tuple[int, int]) -> Tensor:
    """[n] norms of gradients [n, 2] with respect to pixel positions, in half-image units.

    So a threshold means the same at every resolution.
    """
    x, y = (gradient[:, axis] * (0.5 * size_px[axis]) for axis in (0, 1))
    return torch.hypot(x, y)


@dataclass(frozen=True)
class TracedGaussians:
    """Per-Gaussian results of ray tracing a view; see ``RenderedGaussians``.

    Attributes:
        visible: [n] bool, whether it may have been hit.
        means: [n, 3] the means as they were traced.
        absolute_gradient_probe: [n] leaf whose ``grad`` is, after a backward pass, the sum over rays of
            the gradient norm of ``means``; None if it is not computed.
        viewpoint: [3] origin of the rays, world frame; None for rays that form no image.
        half_image: length that half of the image spans at distance 1 from ``viewpoint``.
    """

    visible: Tensor
    means: Tensor
    absolute_gradient_probe: Tensor | None
    viewpoint: Tensor | None
    half_image: float

    def retain_gradients(self) -> None:
        """As of ``RenderedGaussians``."""
        # Without a gradient if they are frozen.
        if self.means.requires_grad:
            self.means.retain_grad()

    def screen_gradient(self) -> Tensor | None:
        """As of ``RenderedGaussians``."""
        probe = self.absolute_gradient_probe
        gradient = self.means.grad if probe is None else probe.grad
        if gradient is None or self.viewpoint is None:
            return None
        with torch.no_grad():
            half_image = (self.means - self.viewpoint).norm(dim=1) * self.half_image
            return (gradient.norm(dim=1) if probe is None else gradient) * half_image


def expected_depth(depth_sum: Tensor, alpha: Tensor) -> Tensor:
    """[h, w] mean depth of the Gaussians of each pixel by their contributions; 0 where there are none.

    Args:
        depth_sum: [h, w] sum of their depths, each times its contribution, scene units.
        alpha: [h, w] sum of the contributions.

    Gradients: depth_sum, alpha.
    """
    return depth_sum / alpha.clamp_min(_LEAST_ALPHA)


@dataclass(frozen=True)
class Render:
    """A picture of a scene.

    Attributes:
        image: [h, w, 3] RGB over the background, or [m, 3] along a list of rays; not bounded above 1.
        alpha: [h, w] 1 - transmittance.
        depth: [h, w] expected camera z, scene units, 0 where alpha is 0; the expected distance along rays
            without a camera; None if it is not computed.
        seen: per Gaussian.
    """

    image: Tensor
    alpha: Tensor
    depth: Tensor | None
    seen: RenderedGaussians

    def __repr__(self) -> str:
        *size, _ = self.image.shape
        extent = f"{size[1]}x{size[0]} px" if len(size) == 2 else f"{size[0]} rays"
        has = "image and alpha" if self.depth is None else "image, alpha and depth"
        kind = str(self.image.dtype).removeprefix("torch.")
        return f"Render({extent}: {has}, {kind} on {self.image.device})"

    def _repr_png_(self) -> bytes | None:
        """The image, clamped to [0, 1], for display in a notebook; None along a list of rays."""
        return to_png(to_uint8(self.image)) if self.image.ndim == 3 else None
