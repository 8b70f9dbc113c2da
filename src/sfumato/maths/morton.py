"""Morton order of points, which keeps neighbours close."""

import numpy as np
import torch
from torch import Tensor

# Shifts, and masks of what stays, that put two zeros before each bit of a number of 21 bits.
_SPREADING = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def morton_order(points: np.ndarray) -> np.ndarray:
    """Indices that sort points along a Morton curve, so that neighbours in the order are near.

    Args:
        points: [n, 3] finite.

    Returns:
        [n] int64 permutation.
    """
    if not len(points):
        return np.zeros(0, np.int64)
    low = points.min(axis=0).astype(np.float64)
    steps = (2**21 - 1) / np.maximum(points.max(axis=0) - low, 1e-30)
    code = np.zeros(len(points), np.uint64)
    for axis in range(3):
        code |= _spread(((points[:, axis] - low[axis]) * steps[axis]).astype(np.uint64)) << np.uint64(axis)
    return np.argsort(code, kind="stable")


def morton_codes(points: Tensor) -> Tensor:
    """Places of points along a Morton curve, on their device.

    Args:
        points: [n, 3] finite.

    Returns:
        [n] int64, of 63 bits.
    """
    if not len(points):
        return torch.zeros(0, dtype=torch.int64, device=points.device)
    points = points.double()
    low = points.amin(0)
    code = ((points - low) * ((2**21 - 1) / (points.amax(0) - low).clamp_min(1e-30))).long()
    for shift, mask in _SPREADING:
        code = (code | code << shift) & mask
    return code[:, 0] | code[:, 1] << 1 | code[:, 2] << 2


def _spread(numbers: np.ndarray) -> np.ndarray:
    """Numbers of 21 bits with two zeros before each bit."""
    for shift, mask in _SPREADING:
        numbers = (numbers | numbers << np.uint64(shift)) & np.uint64(mask)
    return numbers
