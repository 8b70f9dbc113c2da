"""Tensors to the arrays that kernels read, and back; contiguous data is never copied."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def as_array(tensor: Tensor) -> np.ndarray:
    """Contiguous numpy view (or copy) of a CPU tensor."""
    return tensor.detach().contiguous().numpy()


def as_tensors(arrays: Iterable[np.ndarray]) -> list[Tensor]:
    """Tensors over arrays; 64-bit masks become int64, as torch can do little with unsigned numbers."""
    return [torch.from_numpy(a.view(np.int64) if a.dtype == np.uint64 else a) for a in arrays]


def when(holds: object) -> tuple:
    """A flag that is known when a kernel is compiled: a tuple of length 1 or 0."""
    return (0,) if holds else ()
