"""Radix sort of Gaussians by depth."""

import numpy as np

from sfumato.ops.cpu.jit import serial_kernel


@serial_kernel
def _digit_counts(keys, shift):
    counts = np.zeros(2048, np.int64)
    for i in range(keys.size):
        counts[(keys[i] >> shift) & np.uint32(2047)] += 1
    return counts


@serial_kernel
def _scatter_by_digit(keys, ids, shift, positions, new_keys, new_ids):
    for i in range(keys.size):
        digit = (keys[i] >> shift) & np.uint32(2047)
        new_keys[positions[digit]] = keys[i]
        new_ids[positions[digit]] = ids[i]
        positions[digit] += 1


def depth_order(depth: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Sort ids by depth, nearest first; equal depths keep their order (radix sort).

    Args:
        depth: [n] float32.
        ids: [m] int32, increasing.
    """
    # The bits of positive floats sort like the floats; negative depths of orthographic cameras are mapped.
    bits = depth[ids].view(np.uint32)
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    for shift in (0, 11, 22):
        counts = _digit_counts(keys, np.uint32(shift))
        positions = np.cumsum(counts) - counts
        new_keys, new_ids = np.empty_like(keys), np.empty_like(ids)
        _scatter_by_digit(keys, ids, np.uint32(shift), positions, new_keys, new_ids)
        keys, ids = new_keys, new_ids
    return ids
