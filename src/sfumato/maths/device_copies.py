"""Copies from the host to the device of a tensor for which the host does not wait.

Without ``non_blocking`` torch waits until all earlier work of the device is done, several times per step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def moved_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A tensor with the dtype and on the device of another.

    Gradients: tensor.
    """
    # In the other direction numbers would be read before they have arrived.
    return tensor.to(like, non_blocking=tensor.device.type == "cpu")


def numbers_like(numbers: Sequence[float], like: Tensor) -> Tensor:
    """[n] numbers with the dtype and on the device of a tensor."""
    return torch.tensor(numbers, dtype=like.dtype).to(like.device, non_blocking=True)
