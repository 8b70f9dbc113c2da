"""What a render returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.render.png import to_png, to_uint8


class Seen(Protocol):
    """What a view saw of each Gaussian.

    Attributes:
        visible: [n] bool, whether it may have touched the image.
    """

    @property
    def visible(self) -> Tensor: ...

    def watch(self) -> None:
        """Keep, in the backward pass to come, what ``pull`` tells."""

    def pull(self) -> Tensor | None:
        """[n] how hard the image pulls at each Gaussian's place, per half of the image.

        The length of the loss's gradient to the place in the image, after a backward pass; of the sum of
        its absolute values over pixels where that was asked for. None if no gradient came.
        """


@dataclass(frozen=True)
class SeenGaussians:
    """What a rasterized view saw of each Gaussian; see ``Seen``.

    Attributes:
        visible: [n] bool, whether it may have touched the image.
        radius_px: [n, 2] int32 half sizes of the box in which its alpha reaches 1/255; 0 if not.
        mean_px: [n, 2] centre of its ellipse; call ``retain_grad`` to read its gradient.
        absolute_gradient_probe: [n, 2] leaf whose ``grad`` is, after a backward pass, the sum over
            pixels of the absolute gradient of ``mean_px``; None if it was not asked for.
        size_px: (width, height) of the image.
    """

    visible: Tensor
    radius_px: Tensor
    mean_px: Tensor
    absolute_gradient_probe: Tensor | None
    size_px: tuple[int, int]

    def watch(self) -> None:
        self.mean_px.retain_grad()

    def pull(self) -> Tensor | None:
        leaf = self.mean_px if self.absolute_gradient_probe is None else self.absolute_gradient_probe
        if leaf.grad is None:
            return None
        # In halves of the image, so that a threshold means the same at every resolution.
        return (leaf.grad * (0.5 * leaf.grad.new_tensor(self.size_px))).norm(dim=1)


@dataclass(frozen=True)
class PulledGaussians:
    """What rays saw of each Gaussian; see ``Seen``.

    Attributes:
        visible: [n] bool, whether it may have been hit.
        means: [n, 3] the means as they were traced.
        absolute_gradient_probe: [n] leaf whose ``grad`` is, after a backward pass, the sum over rays of
            the length of the gradient of ``means``; None if it was not asked for.
        viewpoint: [3] where the rays begin, world frame; None for rays that make no image.
        half_image: length that half of the image spans at the distance 1 from there.
    """

    visible: Tensor
    means: Tensor
    absolute_gradient_probe: Tensor | None
    viewpoint: Tensor | None
    half_image: float

    def watch(self) -> None:
        self.means.retain_grad()

    def pull(self) -> Tensor | None:
        probe = self.absolute_gradient_probe
        pull = self.means.grad if probe is None else probe.grad
        if pull is None or self.viewpoint is None:
            return None
        with torch.no_grad():
            half_image = (self.means - self.viewpoint).norm(dim=1) * self.half_image
            return (pull.norm(dim=1) if probe is None else pull) * half_image


@dataclass(frozen=True)
class Render:
    """A picture of a scene.

    Attributes:
        image: [h, w, 3] RGB over the background, or [m, 3] along a list of rays; not bounded above 1.
        alpha: [h, w] 1 - transmittance.
        depth: [h, w] expected camera z, scene units, 0 where alpha is 0; along rays that are no camera's
            the expected distance; None if not asked for.
        seen: per Gaussian.
    """

    image: Tensor
    alpha: Tensor
    depth: Tensor | None
    seen: Seen

    def __repr__(self) -> str:
        *size, _ = self.image.shape
        extent = f"{size[1]}x{size[0]} px" if len(size) == 2 else f"{size[0]} rays"
        has = "image and alpha" if self.depth is None else "image, alpha and depth"
        kind = str(self.image.dtype).removeprefix("torch.")
        return f"Render({extent}: {has}, {kind} on {self.image.device})"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the image, clamped to [0, 1]; None along a list of rays."""
        return to_png(to_uint8(self.image)) if self.image.ndim == 3 else None
