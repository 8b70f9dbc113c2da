"""Images of any kind as 8-bit pixels."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from sfumato.errors import ShapeError
from sfumato.render.output import Render
from sfumato.render.png import to_uint8


def pixels_of(image: Render | Tensor | np.ndarray) -> np.ndarray:
    """An image as 8-bit pixels.

    Args:
        image: a Render, or [h, w, 3] RGB: a tensor of values in [0, 1], others are clamped, or uint8.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ShapeError: it is no such image.
    """
    found = image.image if isinstance(image, Render) else image
    if found.ndim != 3 or found.shape[2] != 3 or not all(found.shape):
        raise ShapeError(f"an image has shape [height, width, 3], not {list(found.shape)}")
    if isinstance(found, Tensor) and found.is_floating_point():
        return to_uint8(found)
    pixels = found.cpu().numpy() if isinstance(found, Tensor) else found
    if pixels.dtype != np.uint8:
        raise ShapeError(f"pixels are a tensor of floats or uint8, not {pixels.dtype}")
    return pixels
