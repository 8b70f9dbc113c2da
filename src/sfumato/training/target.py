"""The training target: a photograph at the resolution of the current step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.capture.pixels import Pixels
from sfumato.maths.compositing import over
from sfumato.ops.backend import HOST


@dataclass(frozen=True)
class Target:
    """A photograph, float32.

    Attributes:
        image: [h, w, 3] in [0, 1].
        weight: [h, w] 0 where the loss ignores a pixel, else 1; None: all count.
        share: fraction of the photograph's counted pixels that this target contains.
    """

    image: Tensor
    weight: Tensor | None
    share: float = 1.0


def make_target(
    pixels: Pixels,
    size_px: tuple[int, int],
    background: tuple[float, float, float],
    device: torch.device = HOST,
) -> Target:
    """Composite a photograph over a background at ``size_px`` (width, height), by area average.

    Args:
        pixels: the photograph, premultiplied where it is transparent.
        size_px: no larger than the photograph.
        background: RGB in [0, 1].
        device: of the result. The photograph is copied there as it is and reduced there.
    """
    image = _reduced(pixels.rgb, size_px, device) / 255
    if pixels.alpha is not None:
        image = over(image, _reduced(pixels.alpha[..., None], size_px, device) / 255, background)
    if pixels.mask is None:
        return Target(image, None)
    share = _reduced(pixels.mask[..., None], size_px, device)[..., 0]
    # A reduced pixel that contains ignored ones is ignored.
    return Target(image, (share > 0.99).float())


def _reduced(array: np.ndarray, size_px: tuple[int, int], device: torch.device) -> Tensor:
    """[h, w, d] float32 area average of uint8 or bool values [H, W, d]."""
    values = torch.from_numpy(np.ascontiguousarray(array))
    if device != HOST:
        # From pinned memory the host does not wait for the copy of a quarter of the bytes of float32.
        # Memory for the meta device cannot be pinned.
        values = values if device.type == "meta" else values.pin_memory()
        values = values.to(device, non_blocking=True)
    values = values.float()
    if (values.shape[1], values.shape[0]) == size_px:
        return values
    planes = F.interpolate(values.permute(2, 0, 1)[None], size=size_px[::-1], mode="area")
    return planes[0].permute(1, 2, 0).contiguous()
