"""Logits of colours. n: rows."""

import torch
from torch import Tensor

# Half a step of an 8-bit image: nearer to 0 or 1 nothing can be told, and the logits of those are infinite.
MARGIN = 0.5 / 255


def logits_from_colours(colours: Tensor) -> Tensor:
    """Logits whose sigmoid is the colours, after these are cut off just inside [0, 1].

    Args:
        colours: [n, 3] sRGB-encoded.

    Returns:
        [n, 3] finite logits, for ``colour(..., form="logit")``.

    Gradients: colours; none where they are cut off.

    Source: Deybach 2025, eq. 60 and 61; cut off at 0 and 1 as there, they would become infinite.
    """
    return torch.logit(colours.clamp(MARGIN, 1 - MARGIN))
