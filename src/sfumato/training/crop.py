"""Crops of photographs for a step, with a margin of the photograph around them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.capture.pixels import Pixels
from sfumato.ops.backend import HOST
from sfumato.ops.constants import SSIM_WINDOW_PX
from sfumato.scene.cameras import Camera
from sfumato.training.target import Target, make_target

# Width of the margin: every SSIM window that contains a pixel of the box lies within it.
MARGIN_PX = SSIM_WINDOW_PX - 1


@dataclass(frozen=True)
class Crop:
    """A box of a photograph.

    At the border of a box alone, SSIM windows would contain black, an edge that both images have. So the
    render is pasted into the photograph before they are compared: every window that contains a rendered pixel
    counts as in the whole picture, and pixels that are not rendered have no error.

    Attributes:
        left, top, width, height: of the box, pixels.
        whole_px: (width, height) of the photograph.
    """

    left: int
    top: int
    width: int
    height: int
    whole_px: tuple[int, int]

    @property
    def halves(self) -> float:
        """Size of the photograph relative to the box: geometric mean of both axes."""
        return math.sqrt(math.prod(self.whole_px) / (self.width * self.height))

    def camera(self, whole: Camera) -> Camera:
        """The camera of the box.

        Its renders equal those of the whole picture except for large Gaussians that extend into it from
        outside: the affine approximation is clamped at a distance relative to the picture (``ops.project``).
        """
        return whole.cropped(self.left, self.top, self.width, self.height)

    def target(
        self, pixels: Pixels, background: tuple[float, float, float], device: torch.device = HOST
    ) -> Target:
        """The photograph in the box and its margin, clipped at the border of the photograph, on a device."""
        part = pixels.part(*self._frame)
        height, width = part.rgb.shape[:2]
        share = width * height / math.prod(self.whole_px)
        if pixels.mask is not None and part.mask is not None:
            share = float(part.mask.sum()) / max(float(pixels.mask.sum()), 1.0)
        return replace(make_target(part, (width, height), background, device), share=share)

    def framed(self, image: Tensor, target: Tensor) -> Tensor:
        """A render [height, width, 3] of the box pasted into its target, of the target's shape.

        Gradients: image.
        """
        rows, columns = self._frame
        top, left = self.top - rows.start, self.left - columns.start
        whole = target.clone()
        whole[top : top + self.height, left : left + self.width] = image
        return whole

    @property
    def _frame(self) -> tuple[slice, slice]:
        """Rows and columns of the box and its margin."""
        return (
            _widened(self.top, self.height, self.whole_px[1]),
            _widened(self.left, self.width, self.whole_px[0]),
        )


def _widened(start: int, length: int, whole: int) -> slice:
    return slice(max(0, start - MARGIN_PX), min(whole, start + length + MARGIN_PX))
