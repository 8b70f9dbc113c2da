"""The input of blending and the last step of its gradient.

Input: a record for each visible Gaussian, and for each tile a contiguous copy of its records with a list for
every block. Gradient: the sums of (Gaussian, tile) pairs are added per Gaussian and converted to gradients.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops.cpu.jit import kernel, lane_function, lane_kernel
from sfumato.ops.cpu.raster.tiles import BLOCK_COLUMNS
from sfumato.ops.cpu.simd import bundles
from sfumato.ops.cpu.simd import lanes as ln

# Columns of a splat record: centre x, y; the conic scaled for exponents to base 2
# (A dx^2 + B dx dy + C dy^2); log2 of the opacity; then the channels.
X, Y, A, B, C, LOG2_OPACITY, CHANNELS = range(7)

# Mask of the blocks in even rows.
_EVEN_ROWS = np.uint64(0x00FF00FF00FF00FF)
_LOG2_E = np.float32(math.log2(math.e))
_HALF, _ZERO = np.float32(0.5), np.float32(0.0)

# Sums are prefetched this many slots ahead, because they are scattered over more memory than fits a cache.
_AHEAD = 16

# Number of moments of g = alpha dL/dalpha over pixels, at the start of a pair's row of sums.
_MOMENTS = 6


@kernel
def splat_records(order, mean_px, conic, opacities, colours):
    """Records [m, 6 + d] float32 in depth order, the input of blending."""
    d = colours.shape[1]
    records = np.empty((order.size, CHANNELS + d), np.float32)
    for r in prange(order.size):
        i = order[r]
        records[r, X], records[r, Y] = mean_px[i, 0], mean_px[i, 1]
        records[r, A] = _HALF * _LOG2_E * conic[i, 0]
        records[r, B] = _LOG2_E * conic[i, 1]
        records[r, C] = _HALF * _LOG2_E * conic[i, 2]
        records[r, LOG2_OPACITY] = np.log2(opacities[i])
        for k in range(d):
            records[r, CHANNELS + k] = colours[i, k]
    return records


@lane_function
def list_blocks(pair_mask, start, end, merge_rows, lists, counts):
    """Convert the masks of a tile's pairs to one list of pair indices (within the tile) per block.

    With ``merge_rows`` the blocks of even rows include those of the row below.
    """
    counts[:] = 0
    for local in range(end - start):
        mask = pair_mask[start + local]
        if merge_rows:
            mask = (mask | (mask >> np.uint64(BLOCK_COLUMNS))) & _EVEN_ROWS
        while mask:
            block = ln.trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            lists[block, counts[block]] = local
            counts[block] += 1


@lane_function
def copy_records(records, pair_rank, start, end, nearby):
    """Copy a tile's records into contiguous memory, to avoid scattered reads in every block."""
    stride = records.shape[1]
    for local in range(end - start):
        rank = pair_rank[start + local]
        for k in range(stride):
            nearby[local * stride + k] = records[rank, k]


@lane_function
def longest_list(starts):
    """Largest number of pairs of a tile."""
    longest = 0
    for tile in range(starts.size - 1):
        longest = max(longest, starts[tile + 1] - starts[tile])
    return longest


def sums_layout(d: int, absolute: bool) -> tuple[np.ndarray, int]:
    """(column of each of the 6 + d (+ 2) sums, row length) of composite_backward's output."""
    count = _MOMENTS + d + (2 if absolute else 0)
    return np.array([bundles.totals_position(i, count) for i in range(count)]), -(-count // 8) * 8


@lane_function
def add_slots(sums, slot_pair, start, end, columns, added, found):
    """Fill ``found`` with the sums over a Gaussian's slots, in their order.

    ``sums`` are flat, one row per pair; ``added`` [row] is a buffer for one row, ``columns`` the column
    of each sum in it.
    """
    row = added.size
    added[:] = _ZERO
    for slot in range(start, end):
        pair = slot_pair[slot]
        ln.prefetch(sums, slot_pair[min(slot + _AHEAD, slot_pair.size - 1)] * row)
        if pair >= 0:
            for k in range(0, row, 8):
                ln.store(added, k, ln.load(8, added, k) + ln.load(8, sums, np.intp(pair) * row + k))
    for k in range(columns.size):
        found[k] = added[columns[k]]


class SplatGradients(NamedTuple):
    """Gradients to centres, conics, opacities and colours.

    Attributes:
        mean, conic, opacity, colour: [n, 2], [n, 3], [n], [n, d] float32.
        absolute: [n, 2] float32 absolute gradient of the mean, or [0, 2].
    """

    mean: np.ndarray
    absolute: np.ndarray
    conic: np.ndarray
    opacity: np.ndarray
    colour: np.ndarray


@lane_kernel
def gather_gradients(tiles, sums, columns, conic, opacities, grads):
    """Sum the pairs of each Gaussian in slot order and compute gradients from the moments.

    Args:
        tiles: from bin_tiles.
        sums, columns: [p, row] and [6 + d (+ 2)] from composite_backward and sums_layout.
        conic, opacities: [n, 3], [n].
        grads: SplatGradients of zeros, written for visible Gaussians.
    """
    order, starts, slot_pair = tiles.order, tiles.slot_starts, tiles.slot_pair
    # Written in the parallel loop: Numba loses writes there to a field of a tuple from outside the loop.
    of_mean, absolute, of_conic, of_opacity, of_colour = grads
    d, count, row = of_colour.shape[1], columns.size, sums.shape[1]
    flat, chunk = sums.ravel(), 256
    for first in prange((order.size + chunk - 1) // chunk):
        added, found = np.empty(row, np.float32), np.empty(count, np.float32)
        for r in range(first * chunk, min((first + 1) * chunk, order.size)):
            i = order[r]
            add_slots(flat, slot_pair, starts[r], starts[r + 1], columns, added, found)
            # alpha = o exp(-sigma) and g = alpha dL/dalpha, so dL/dsigma = -g, dL/do = g / o;
            # dx = pixel - mean.
            g, g_x, g_y = found[0], found[1], found[2]
            g_xx, g_xy, g_yy = found[3], found[4], found[5]
            of_mean[i, 0] = conic[i, 0] * g_x + conic[i, 1] * g_y
            of_mean[i, 1] = conic[i, 1] * g_x + conic[i, 2] * g_y
            of_conic[i, 0], of_conic[i, 1], of_conic[i, 2] = -_HALF * g_xx, -g_xy, -_HALF * g_yy
            of_opacity[i] = g / opacities[i]
            for k in range(d):
                of_colour[i, k] = found[_MOMENTS + k]
            for k in range(count - _MOMENTS - d):
                absolute[i, k] = found[_MOMENTS + d + k] / _LOG2_E
