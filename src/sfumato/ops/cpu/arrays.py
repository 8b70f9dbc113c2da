"""Conversion of tensors to arrays for kernels, and back, without copying contiguous data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def as_array(tensor: Tensor) -> np.ndarray:
    """Contiguous numpy view (or copy) of a CPU tensor."""
    return tensor.detach().contiguous().numpy()


def as_tensors(arrays: Iterable[np.ndarray]) -> list[Tensor]:
    """Tensors that share the memory of arrays; uint64 becomes int64, better supported by torch."""
    return [torch.from_numpy(a.view(np.int64) if a.dtype == np.uint64 else a) for a in arrays]


def when(holds: object) -> tuple:
    """A compile-time flag for kernels: a tuple of length 1 or 0."""
    return (0,) if holds else ()
