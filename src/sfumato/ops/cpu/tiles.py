"""Which Gaussians touch which tile, in depth order, and which pixel blocks inside it.

A tile is 64 blocks of 8x4 pixels (8 block rows of 8). Each pair of a Gaussian and a tile carries
a 64-bit mask of the blocks that the ellipse where alpha reaches ALPHA_MIN touches, so the
compositor visits exactly these.
"""

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.jit import kernel, scalar, serial_kernel

BLOCK_WIDTH, BLOCK_HEIGHT = 8, 4
BLOCK_COLUMNS, BLOCK_ROWS = 8, 8
TILE_WIDTH, TILE_HEIGHT = BLOCK_WIDTH * BLOCK_COLUMNS, BLOCK_HEIGHT * BLOCK_ROWS
BLOCKS = BLOCK_COLUMNS * BLOCK_ROWS

_ALPHA_MIN = np.float32(constants.ALPHA_MIN)
# Widens each span, px, so that rounding in the span never drops a pixel the blend would keep.
_MARGIN_PX = np.float32(0.01)
_HALF, _ZERO = np.float32(0.5), np.float32(0.0)
_ONE = np.uint64(1)
# Gaussians counted together; fixes the order of pairs whatever the number of threads.
_CHUNK = 512


@scalar
def _ellipse(a, b, c, opacity):
    """The ellipse where alpha = ALPHA_MIN, px from its centre.

    Returns (half width, half height, slope, peak, fall, dy_right): at height dy it spans
    slope * dy +- sqrt(peak - fall * dy^2) and is rightmost at dy_right.
    """
    twice_limit = np.float32(2.0) * np.log(opacity / _ALPHA_MIN)
    inverse_a = np.float32(1.0) / a
    det = a * c - b * b
    half_height = np.sqrt(twice_limit * a / det)
    half_width = np.sqrt(twice_limit * c / det)
    return (
        half_width,
        half_height,
        -b * inverse_a,
        twice_limit * inverse_a,
        det * inverse_a * inverse_a,
        -b * half_width / c,
    )


@scalar
def _span(half_height, slope, peak, fall, dy_right, low, high):
    """x extent (first, last) of the ellipse between dy = low and dy = high."""
    low = max(low, -half_height)
    high = min(high, half_height)
    right = min(max(dy_right, low), high)
    left = min(max(-dy_right, low), high)
    last = slope * right + np.sqrt(max(peak - fall * right * right, _ZERO))
    first = slope * left - np.sqrt(max(peak - fall * left * left, _ZERO))
    return first - _MARGIN_PX, last + _MARGIN_PX


@scalar
def _pixels(centre, low, high, count):
    """First and last pixel, of ``count``, whose centre lies between two offsets from ``centre``."""
    first = max(int(np.ceil(centre + low - _HALF)), 0)
    last = min(int(np.floor(centre + high - _HALF)), count - 1)
    return first, last


@scalar
def _pixel_box(x, y, half_width, half_height, width, height):
    x0, x1 = _pixels(x, -half_width - _MARGIN_PX, half_width + _MARGIN_PX, width)
    y0, y1 = _pixels(y, -half_height - _MARGIN_PX, half_height + _MARGIN_PX, height)
    return x0, x1, y0, y1


@kernel
def tile_bounds(order, mean_px, conic, opacities, width, height):
    """Upper bound of the tiles that each Gaussian of ``order`` touches: [m] int64."""
    bounds = np.empty(order.size, np.int64)
    for r in prange(order.size):
        i = order[r]
        half_width, half_height, _, _, _, _ = _ellipse(conic[i, 0], conic[i, 1], conic[i, 2], opacities[i])
        x0, x1, y0, y1 = _pixel_box(mean_px[i, 0], mean_px[i, 1], half_width, half_height, width, height)
        empty = x1 < x0 or y1 < y0
        columns, rows = x1 // TILE_WIDTH - x0 // TILE_WIDTH + 1, y1 // TILE_HEIGHT - y0 // TILE_HEIGHT + 1
        bounds[r] = 0 if empty else columns * rows
    return bounds


@scalar
def _mark_blocks(slot_mask, slot_row, row, column0, column1):
    """Set the bits of block columns column0 to column1 of a block row in the slots of its tiles."""
    shift = np.uint64((row % BLOCK_ROWS) * BLOCK_COLUMNS)
    for tile in range(column0 // BLOCK_COLUMNS, column1 // BLOCK_COLUMNS + 1):
        c0 = np.uint64(max(column0 - tile * BLOCK_COLUMNS, 0))
        c1 = np.uint64(min(column1 - tile * BLOCK_COLUMNS, BLOCK_COLUMNS - 1))
        below = (_ONE << c0) - _ONE
        slot_mask[slot_row + tile] |= (((_ONE << (c1 + _ONE)) - _ONE) & ~below) << shift


@kernel
def block_masks(order, starts, mean_px, conic, opacities, width, height, slot_tile, slot_mask):
    """Write (tile, block mask) of each Gaussian into its slots; slots of missed tiles keep tile -1.

    Args:
        order: [m] int32 Gaussian ids, nearest first.
        starts: [m + 1] int64 first slot of each.
        slot_tile, slot_mask: [slots] int32 and uint64, written.
    """
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    for r in prange(order.size):
        base, end = starts[r], starts[r + 1]
        if base == end:
            continue
        i = order[r]
        x, y = mean_px[i, 0], mean_px[i, 1]
        half_width, half_height, slope, peak, fall, dy_right = _ellipse(
            conic[i, 0], conic[i, 1], conic[i, 2], opacities[i]
        )
        x0, x1, y0, y1 = _pixel_box(x, y, half_width, half_height, width, height)
        first_tile_x, first_tile_y = x0 // TILE_WIDTH, y0 // TILE_HEIGHT
        tile_columns = x1 // TILE_WIDTH - first_tile_x + 1
        for slot in range(base, end):
            slot_mask[slot] = np.uint64(0)
        for row in range(y0 // BLOCK_HEIGHT, y1 // BLOCK_HEIGHT + 1):
            low = np.float32(row * BLOCK_HEIGHT) + _HALF - y
            high = low + np.float32(BLOCK_HEIGHT - 1)
            first, last = _span(half_height, slope, peak, fall, dy_right, low, high)
            pixel0, pixel1 = _pixels(x, first, last, width)
            if pixel0 <= pixel1:
                slot_row = base + (row // BLOCK_ROWS - first_tile_y) * tile_columns - first_tile_x
                _mark_blocks(slot_mask, slot_row, row, pixel0 // BLOCK_WIDTH, pixel1 // BLOCK_WIDTH)
        for slot in range(base, end):
            if slot_mask[slot] != np.uint64(0):
                tile_row = first_tile_y + (slot - base) // tile_columns
                slot_tile[slot] = tile_row * tiles_x + first_tile_x + (slot - base) % tile_columns


@kernel
def count_chunks(slot_tile, starts, num_tiles):
    """Pairs of each chunk of consecutive Gaussians in each tile: [chunks, tiles] int32."""
    m = starts.size - 1
    chunks = (m + _CHUNK - 1) // _CHUNK
    counts = np.zeros((chunks, num_tiles), np.int32)
    for chunk in prange(chunks):
        for slot in range(starts[chunk * _CHUNK], starts[min((chunk + 1) * _CHUNK, m)]):
            if slot_tile[slot] >= 0:
                counts[chunk, slot_tile[slot]] += 1
    return counts


@kernel
def scatter_pairs(slot_tile, slot_mask, starts, positions, pair_rank, pair_mask, slot_pair):
    """Move slots to their place in tile order; ``positions`` [chunks, tiles] is used up."""
    m = starts.size - 1
    for chunk in prange(positions.shape[0]):
        for r in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, m)):
            for slot in range(starts[r], starts[r + 1]):
                tile = slot_tile[slot]
                if tile < 0:
                    slot_pair[slot] = -1
                    continue
                pair = positions[chunk, tile]
                positions[chunk, tile] += 1
                pair_rank[pair] = r
                pair_mask[pair] = slot_mask[slot]
                slot_pair[slot] = pair


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
    """Ids sorted by their depth, nearest first; equal depths keep their order (radix sort).

    Args:
        depth: [n] float32, positive where listed.
        ids: [m] int32 rising.
    """
    # Bits of positive floats sort like the floats; sign handled for orthographic cameras.
    bits = depth[ids].view(np.uint32)
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    for shift in (0, 11, 22):
        counts = _digit_counts(keys, np.uint32(shift))
        positions = np.cumsum(counts) - counts
        new_keys, new_ids = np.empty_like(keys), np.empty_like(ids)
        _scatter_by_digit(keys, ids, np.uint32(shift), positions, new_keys, new_ids)
        keys, ids = new_keys, new_ids
    return ids


def bin_tiles(mean_px, conic, opacities, depth, radius_px, width, height):
    """See sfumato.ops.tiles.bin_tiles; numpy in, numpy out."""
    tiles_x, tiles_y = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    visible = (radius_px > 0).any(axis=1) & (opacities > _ALPHA_MIN)
    order = depth_order(depth, np.flatnonzero(visible).astype(np.int32))
    starts = np.zeros(order.size + 1, np.int64)
    np.cumsum(tile_bounds(order, mean_px, conic, opacities, width, height), out=starts[1:])
    slot_tile = np.full(starts[-1], -1, np.int32)
    slot_mask = np.empty(starts[-1], np.uint64)
    block_masks(order, starts, mean_px, conic, opacities, width, height, slot_tile, slot_mask)
    counts = count_chunks(slot_tile, starts, tiles_x * tiles_y)
    tile_starts = np.zeros(tiles_x * tiles_y + 1, np.int64)
    np.cumsum(counts.sum(axis=0, dtype=np.int64), out=tile_starts[1:])
    positions = tile_starts[:-1] + np.cumsum(counts, axis=0, dtype=np.int64) - counts
    pair_rank = np.empty(tile_starts[-1], np.int32)
    pair_mask = np.empty(tile_starts[-1], np.uint64)
    slot_pair = np.empty(starts[-1], np.int64)
    scatter_pairs(slot_tile, slot_mask, starts, positions, pair_rank, pair_mask, slot_pair)
    return order, starts, slot_pair, pair_rank, pair_mask, tile_starts
