"""Transparent pictures over a background."""

from __future__ import annotations

from torch import Tensor

from sfumato.maths.device_copies import numbers_like


def over(colours: Tensor, opacity: Tensor, background: tuple[float, float, float]) -> Tensor:
    """Composite a picture over one colour.

    Args:
        colours: [h, w, 3] RGB in [0, 1], multiplied by the opacity.
        opacity: [h, w, 1] in [0, 1].
        background: RGB in [0, 1].

    Returns:
        [h, w, 3].

    Source: Porter and Duff 1984.
    """
    return colours + (1 - opacity) * numbers_like(background, colours)
