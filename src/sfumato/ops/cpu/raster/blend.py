"""Front-to-back blending of sorted Gaussians, and its gradient, one block of pixels at a time.

The block masks of a tile become one list of pairs per block; the transmittance and colours
of a block stay in registers while its Gaussians are blended. The gradient also runs front to back
(S_n = C - sum_{m<=n} c_m alpha_m T_m) and repeats the same decisions bit for bit, so only the image is
stored per pixel. The sums over a tile's pixels are one row per (Gaussian, tile) pair and are gathered
afterwards (see splats).
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops.cpu.jit import REGISTER_LANES, lane_function, lane_function_with_arrays, lane_kernel
from sfumato.ops.cpu.raster.splats import (
    CHANNELS,
    LOG2_OPACITY,
    A,
    B,
    C,
    X,
    Y,
    copy_records,
    list_blocks,
    longest_list,
)
from sfumato.ops.cpu.raster.tiles import (
    BLOCK_COLUMNS,
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    BLOCKS,
    TILE_HEIGHT,
    TILE_WIDTH,
)
from sfumato.ops.cpu.simd import bundles
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.blending import ALPHA_MAX, LOG2_ALPHA_MIN, STRIPS, blend

FORWARD_LANES = BLOCK_WIDTH * BLOCK_HEIGHT
# Vertically adjacent blocks that the gradient processes together: as many pixels as four registers have
# lanes. With fewer blocks lane reductions dominate, with more the registers spill; either costs about a third
# of the speed.
_BACKWARD_BLOCKS = 4 * REGISTER_LANES // FORWARD_LANES
BACKWARD_HEIGHT = _BACKWARD_BLOCKS * BLOCK_HEIGHT
BACKWARD_LANES = BLOCK_WIDTH * BACKWARD_HEIGHT
# Terms that depend only on a pixel's column are computed once, for the rows that fill one register.
_ROWS_LANES = REGISTER_LANES
_LANE_X, _LANE_Y = ln.lane_offsets(BACKWARD_LANES, BLOCK_WIDTH)

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@lane_function
def _exponent(lanes, flat, at, x, y):
    """(dx of one register, dy, log2 of alpha before clamping) of a block's pixels for the record at ``at``.

    Terms that depend only on the column are computed once for all rows.
    """
    dx = x - flat[at + X]
    dy = y - flat[at + Y]
    of_column = flat[at + LOG2_OPACITY] - dx * dx * flat[at + A]
    slope = ln.repeated(lanes, dx * flat[at + B]) + dy * flat[at + C]
    return dx, dy, ln.repeated(lanes, of_column) - dy * slope


class TileScratch(NamedTuple):
    """Buffers for a tile, reused for the next.

    Attributes:
        nearby: [longest * stride] float32, the records of the tile in contiguous memory.
        lists, counts: [64, longest] int32 and [64] int64, rows of ``nearby`` for each block.
        planes: float32, values of a block's pixels.
    """

    nearby: np.ndarray
    lists: np.ndarray
    counts: np.ndarray
    planes: np.ndarray


@lane_function_with_arrays
def _tile_scratch(longest, stride, size):
    """Uninitialised TileScratch for up to ``longest`` pairs with records of length ``stride``."""
    nearby = np.empty(longest * stride, np.float32)
    lists, counts = np.empty((BLOCKS, longest), np.int32), np.empty(BLOCKS, np.int64)
    return TileScratch(nearby, lists, counts, np.empty(size, np.float32))


@lane_function
def _corner(tile, block, tiles_x):
    """First pixel (x, y) of a block of a tile."""
    x0 = (tile % tiles_x) * TILE_WIDTH + (block % BLOCK_COLUMNS) * BLOCK_WIDTH
    return x0, (tile // tiles_x) * TILE_HEIGHT + (block // BLOCK_COLUMNS) * BLOCK_HEIGHT


@lane_function
def _start(x, y, width, height):
    """Initial transmittance at the pixel centres: 1 inside the image, stopped (negative) outside."""
    inside = (x < np.float32(width)) & (y < np.float32(height))
    return ln.select(inside, x * _ZERO + _ONE, -_ONE)


@lane_kernel
def composite_forward(channels, records, background, tiles, width, height, image, alpha):
    """Blend every tile.

    Args:
        channels: tuple whose length is d, fixed at compile time.
        records: [m, 6 + d] from splat_records.
        background: [d].
        tiles: from bin_tiles.
        image, alpha: [h, w, d] and [h, w] float32, written.
    """
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    stride, d = records.shape[1], len(channels)
    starts, num_tiles = tiles.tile_starts, tiles.tile_starts.size - 1
    strips = min(STRIPS, num_tiles)
    longest = longest_list(starts)
    for strip in prange(strips):
        scratch = _tile_scratch(longest, stride, FORWARD_LANES * (d + 1))
        lists, counts, planes, flat = scratch.lists, scratch.counts, scratch.planes, scratch.nearby
        for tile in range(strip, num_tiles, strips):
            start, end = starts[tile], starts[tile + 1]
            copy_records(records, tiles.pair_rank, start, end, flat)
            list_blocks(tiles.pair_mask, start, end, False, lists, counts)
            for block in range(BLOCKS):
                x0, y0 = _corner(tile, block, tiles_x)
                if x0 >= width or y0 >= height:
                    continue
                x = ln.load(_ROWS_LANES, _LANE_X, 0) + np.float32(x0)
                y = ln.load(FORWARD_LANES, _LANE_Y, 0) + np.float32(y0)
                transmittance = _start(ln.repeated(FORWARD_LANES, x), y, width, height)
                colour = bundles.zeros_like_channels(FORWARD_LANES, channels)
                for j in range(counts[block]):
                    at = ln.index(lists[block, j] * stride)
                    _, _, log2_alpha = _exponent(FORWARD_LANES, flat, at, x, y)
                    blended = blend(log2_alpha, log2_alpha >= LOG2_ALPHA_MIN, transmittance)
                    transmittance = blended.transmittance
                    colour = bundles.add_weighted(colour, blended.weight, flat, at + CHANNELS)
                    if (j & 3) == 3 and not ln.any_true(transmittance > _ZERO):
                        break
                transmittance = ln.magnitude(transmittance)
                colour = bundles.add_weighted(colour, transmittance, background, 0)
                bundles.store_channels(planes, 0, colour)
                ln.store(planes, FORWARD_LANES * d, transmittance)
                for row in range(min(BLOCK_HEIGHT, height - y0)):
                    for column in range(min(BLOCK_WIDTH, width - x0)):
                        lane = row * BLOCK_WIDTH + column
                        for k in range(d):
                            image[y0 + row, x0 + column, k] = planes[k * FORWARD_LANES + lane]
                        alpha[y0 + row, x0 + column] = _ONE - planes[d * FORWARD_LANES + lane]


@lane_function
def _load_block(planes, source, k, x0, y0, width, height):
    """Copy channel ``k`` of ``source`` [h, w, d] in a block to plane ``k`` of ``planes``."""
    for row in range(BACKWARD_HEIGHT):
        for column in range(BLOCK_WIDTH):
            inside = y0 + row < height and x0 + column < width
            value = source[y0 + row, x0 + column, k] if inside else _ZERO
            planes[k * BACKWARD_LANES + row * BLOCK_WIDTH + column] = value


@lane_function
def _load_remaining(planes, image, alpha, grad_image, grad_alpha, x0, y0):
    """Write, for each pixel of a block, the gradients times the image and alpha, summed."""
    height, width, d = image.shape
    for row in range(BACKWARD_HEIGHT):
        for column in range(BLOCK_WIDTH):
            y, x, value = y0 + row, x0 + column, _ZERO
            if y < height and x < width:
                if grad_alpha.size > 0:
                    value = grad_alpha[y, x, 0] * alpha[y, x]
                for k in range(d):
                    value += grad_image[y, x, k] * image[y, x, k]
            planes[row * BLOCK_WIDTH + column] = value


@lane_kernel
def composite_backward(channels, absolute, records, image, alpha, grad_image, grad_alpha, tiles, sums):
    """For each (Gaussian, tile) pair, the sums over pixels from which its gradients are computed.

    Args:
        channels: tuple whose length is d, fixed at compile time.
        absolute: () or (0, 0): whether to compute the sums of |dL/dmean|.
        records, tiles: as in composite_forward.
        image, alpha: [h, w, d] and [h, w] from composite_forward.
        grad_image, grad_alpha: [h, w, d] and [h, w, 1]; or [0, 0, 1] if alpha has no gradient.
        sums: [p, at least 6 + d (+ 2)] float32 zeros; sum i is added to column
            bundles.totals_position(i, count).
    """
    height, width, d = grad_image.shape
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    stride = records.shape[1]
    flat_sums, row = sums.ravel(), sums.shape[1]
    starts, num_tiles = tiles.tile_starts, tiles.tile_starts.size - 1
    strips = min(STRIPS, num_tiles)
    longest = longest_list(starts)
    for strip in prange(strips):
        scratch = _tile_scratch(longest, stride, BACKWARD_LANES * (d + 2))
        lists, counts, planes, flat = scratch.lists, scratch.counts, scratch.planes, scratch.nearby
        for tile in range(strip, num_tiles, strips):
            start, end = starts[tile], starts[tile + 1]
            copy_records(records, tiles.pair_rank, start, end, flat)
            list_blocks(tiles.pair_mask, start, end, _BACKWARD_BLOCKS == 2, lists, counts)
            for block in range(BLOCKS):
                x0, y0 = _corner(tile, block, tiles_x)
                if x0 >= width or y0 >= height or counts[block] == 0:
                    continue
                for k in range(d):
                    _load_block(planes, grad_image, k, x0, y0, width, height)
                if grad_alpha.size > 0:
                    _load_block(planes[BACKWARD_LANES * d :], grad_alpha, 0, x0, y0, width, height)
                else:
                    planes[BACKWARD_LANES * d : BACKWARD_LANES * (d + 1)] = _ZERO
                behind_planes = planes[BACKWARD_LANES * (d + 1) :]
                _load_remaining(behind_planes, image, alpha, grad_image, grad_alpha, x0, y0)
                grads = bundles.load_channels(BACKWARD_LANES, channels, planes, 0)
                grad_opaque = ln.load(BACKWARD_LANES, planes, BACKWARD_LANES * d)
                behind = ln.load(BACKWARD_LANES, planes, BACKWARD_LANES * (d + 1))
                x = ln.load(_ROWS_LANES, _LANE_X, 0) + np.float32(x0)
                y = ln.load(BACKWARD_LANES, _LANE_Y, 0) + np.float32(y0)
                transmittance = _start(ln.repeated(BACKWARD_LANES, x), y, width, height)
                for j in range(counts[block]):
                    local = ln.index(lists[block, j])
                    at = ln.index(local * stride)
                    dx, dy, log2_alpha = _exponent(BACKWARD_LANES, flat, at, x, y)
                    blended = blend(log2_alpha, log2_alpha >= LOG2_ALPHA_MIN, transmittance)
                    opacity, weight, transmittance = blended.alpha, blended.weight, blended.transmittance
                    own = weight * (bundles.dot_row(grads, flat, at + CHANNELS) + grad_opaque)
                    behind = behind - own
                    to_log_alpha = own - behind * (opacity / (_ONE - opacity))
                    # A clamped alpha has no gradient.
                    to_log_alpha = ln.select(blended.live & (opacity < ALPHA_MAX), to_log_alpha, _ZERO)
                    moment_y = to_log_alpha * dy
                    sum_, sum_y = ln.folded(_ROWS_LANES, to_log_alpha), ln.folded(_ROWS_LANES, moment_y)
                    sum_x, sum_yy = sum_ * dx, ln.folded(_ROWS_LANES, moment_y * dy)
                    moments = bundles.gather6(sum_, sum_x, sum_y, sum_x * dx, sum_y * dx, sum_yy)
                    weighted = bundles.folded_channels(_ROWS_LANES, bundles.scaled(grads, weight))
                    found = bundles.join(moments, weighted)
                    if len(absolute) > 0:
                        # dsigma/dx = (2 A dx + B dy) ln 2, and likewise for y.
                        twice_x = dx * (flat[at + A] + flat[at + A])
                        slope_x = ln.repeated(BACKWARD_LANES, twice_x) + dy * flat[at + B]
                        cross = ln.repeated(BACKWARD_LANES, dx * flat[at + B])
                        slope_y = dy * (flat[at + C] + flat[at + C]) + cross
                        steep_x = ln.folded(_ROWS_LANES, ln.magnitude(to_log_alpha * slope_x))
                        steep_y = ln.folded(_ROWS_LANES, ln.magnitude(to_log_alpha * slope_y))
                        found = bundles.join(found, bundles.gather2(steep_x, steep_y))
                    bundles.accumulate_totals(flat_sums, (start + local) * row, found)
                    if (j & 3) == 3 and not ln.any_true(transmittance > _ZERO):
                        break
