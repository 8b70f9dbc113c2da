"""A part of a photograph that a step looks at, within a frame of the photograph itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from sfumato.capture.pixels import Pixels
from sfumato.ops.constants import SSIM_WINDOW_PX
from sfumato.scene.cameras import Camera
from sfumato.training.target import Target, make_target

# A window of SSIM that holds a pixel of the box lies within its frame.
FRAME_PX = SSIM_WINDOW_PX - 1


@dataclass(frozen=True)
class Crop:
    """A box of a photograph.

    The loss of a box alone would end at its border as if black were beyond, where SSIM sees an edge that both
    images have. So the render is put into the photograph before they are compared: every window that holds a
    rendered pixel counts, as in the whole picture, and what is not rendered agrees.

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
        """Half sides of the photograph, as a multiple of those of the box: the mean of both axes."""
        return math.sqrt(math.prod(self.whole_px) / (self.width * self.height))

    def camera(self, whole: Camera) -> Camera:
        """The camera of the box.

        Renders of it are those of the whole picture but for large Gaussians that reach in from outside: the
        affine approximation is clamped nearer to a smaller picture (``ops.project``).
        """
        return whole.cropped(self.left, self.top, self.width, self.height)

    def target(self, pixels: Pixels, background: tuple[float, float, float]) -> Target:
        """The photograph in the box and its frame, which ends at the border of the photograph."""
        part = pixels.part(*self._frame)
        height, width = part.rgb.shape[:2]
        share = width * height / math.prod(self.whole_px)
        if pixels.mask is not None and part.mask is not None:
            share = float(part.mask.sum()) / max(float(pixels.mask.sum()), 1.0)
        return replace(make_target(part, (width, height), background), share=share)

    def framed(self, image: Tensor, target: Tensor) -> Tensor:
        """A render [height, width, 3] of the box in the frame of its target, in that's shape.

        Gradients: image.
        """
        rows, columns = self._frame
        top, left = self.top - rows.start, self.left - columns.start
        whole = target.clone()
        whole[top : top + self.height, left : left + self.width] = image
        return whole

    @property
    def _frame(self) -> tuple[slice, slice]:
        """Rows and columns of the box and its frame."""
        return (
            _widened(self.top, self.height, self.whole_px[1]),
            _widened(self.left, self.width, self.whole_px[0]),
        )


def _widened(start: int, length: int, whole: int) -> slice:
    return slice(max(0, start - FRAME_PX), min(whole, start + length + FRAME_PX))
