"""Logits of colours. n: rows."""

import torch
from torch import Tensor

# Half a step of an 8-bit image: the logits of 0 and 1 themselves are infinite.
MARGIN = 0.5 / 255


def logits_from_colours(colours: Tensor) -> Tensor:
    """Logits of colours, which are clamped just inside [0, 1].

    Args:
        colours: [n, 3] sRGB-encoded.

    Returns:
        [n, 3] finite logits, for ``colour(..., form="logit")``.

    Gradients: colours; none where they are clamped.

    Source: Deybach 2025, eq. 60 and 61; clamped to [0, 1] as there, logits would be infinite.
    """
    return torch.logit(colours.clamp(MARGIN, 1 - MARGIN))
