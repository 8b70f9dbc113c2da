"""Assignment of Gaussians to tiles, in depth order, and to pixel blocks inside them.

A tile is 64 blocks of 8x4 pixels (8 block rows of 8). Each pair of a Gaussian and a tile has
a 64-bit mask of the blocks touched by the ellipse where alpha reaches ALPHA_MIN; blending visits only
these.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numba import prange
from torch import Tensor

from sfumato.ops import constants
from sfumato.ops.cpu.arrays import as_array
from sfumato.ops.cpu.jit import kernel, lane_function, lane_kernel, scalar, serial_kernel
from sfumato.ops.cpu.raster.depth_order import depth_order
from sfumato.ops.cpu.simd import lanes as ln

BLOCK_WIDTH, BLOCK_HEIGHT = 8, 4
# A tile is 64 blocks, so that a 64-bit mask has a bit for each.
BLOCK_COLUMNS = BLOCK_ROWS = 8
TILE_WIDTH, TILE_HEIGHT = BLOCK_COLUMNS * BLOCK_WIDTH, BLOCK_ROWS * BLOCK_HEIGHT
BLOCKS = BLOCK_COLUMNS * BLOCK_ROWS

_ALPHA_MIN = np.float32(constants.ALPHA_MIN)
# Margin of each span, px, larger than the rounding errors, so that no blended pixel is missed.
_MARGIN_PX = np.float32(0.01)
_HALF, _ZERO = np.float32(0.5), np.float32(0.0)
_WHOLE, _PER_BLOCK = np.float32(1.0), np.float32(1 / BLOCK_WIDTH)
_ROW_TOPS = np.arange(0, TILE_HEIGHT, BLOCK_HEIGHT).astype(np.float32)
# Gaussians counted together; makes the order of pairs independent of the number of threads.
_CHUNK = 512


class Tiles(NamedTuple):
    """Pairs of a Gaussian and a tile that its ellipse touches, tile by tile, nearest first.

    Attributes:
        order: [m] int32 ids of the visible Gaussians, nearest first; a rank is an index into it.
        slot_starts: [m + 1] int64 first slot of each rank.
        slot_pair: [s] int64 pair of each slot, or -1 for a tile that the ellipse misses.
        pair_rank: [p] int32 rank of each pair's Gaussian.
        pair_mask: [p] uint64, one bit for each touched block of the tile (8x8 blocks of 8x4 px).
        tile_starts: [t + 1] int64 first pair of each tile; tiles are in row-major order.
    """

    order: np.ndarray
    slot_starts: np.ndarray
    slot_pair: np.ndarray
    pair_rank: np.ndarray
    pair_mask: np.ndarray
    tile_starts: np.ndarray

    @classmethod
    def of(cls, kept: Sequence[Tensor]) -> "Tiles":
        """Tiles from the tensors in which they were saved for the gradient."""
        tiles = cls(*map(as_array, kept))
        return tiles._replace(pair_mask=tiles.pair_mask.view(np.uint64))


def empty_tiles(like: Tensor, number: int) -> list[Tensor]:
    """Empty tensors with the shapes of Tiles of an image of ``number`` tiles."""
    sizes = torch.library.get_ctx()
    visible, slots, pairs = (sizes.new_dynamic_size() for _ in range(3))
    lengths = Tiles(visible, visible + 1, slots, pairs, pairs, number + 1)
    dtypes = Tiles(torch.int32, torch.int64, torch.int64, torch.int32, torch.int64, torch.int64)
    return [like.new_empty(n, dtype=dtype) for n, dtype in zip(lengths, dtypes, strict=True)]


def no_tiles(number: int) -> Tiles:
    """The tiles of an image without Gaussians."""
    none, start = np.empty(0, np.int32), np.zeros(1, np.int64)
    return tiles_from_slots(none, start, none, np.empty(0, np.uint64), number)


class Ellipse(NamedTuple):
    """The ellipse where alpha = ALPHA_MIN, in pixels relative to its centre.

    At dy it spans slope * dy +- sqrt(peak - fall * dy^2); its rightmost point is at dy_right.
    """

    half_width: np.float32
    half_height: np.float32
    slope: np.float32
    peak: np.float32
    fall: np.float32
    dy_right: np.float32


@scalar
def _ellipse(a, b, c, opacity):
    """Ellipse of a conic (a, b, c) and an opacity."""
    twice_limit = np.float32(2.0) * np.log(opacity / _ALPHA_MIN)
    inverse_a = np.float32(1.0) / a
    det = a * c - b * b
    half_height = np.sqrt(twice_limit * a / det)
    half_width = np.sqrt(twice_limit * c / det)
    return Ellipse(
        half_width, half_height, -b * inverse_a, twice_limit * inverse_a, det * inverse_a * inverse_a,
        -b * half_width / c,
    )  # fmt: skip


@scalar
def _pixels(centre, reach, count):
    """First and last of ``count`` pixels with centres within ``reach`` of ``centre``."""
    reach += _MARGIN_PX
    first = max(int(np.ceil(centre - reach - _HALF)), 0)
    last = min(int(np.floor(centre + reach - _HALF)), count - 1)
    return first, last


@kernel
def tile_boxes(order, mean_px, conic, opacities, width, height):
    """Bounding rectangle in tiles of each Gaussian of ``order``: [m, 4] int32 column, row, columns, rows."""
    boxes = np.empty((order.size, 4), np.int32)
    for r in prange(order.size):
        i = order[r]
        ellipse = _ellipse(conic[i, 0], conic[i, 1], conic[i, 2], opacities[i])
        x0, x1 = _pixels(mean_px[i, 0], ellipse.half_width, width)
        y0, y1 = _pixels(mean_px[i, 1], ellipse.half_height, height)
        empty = x1 < x0 or y1 < y0
        boxes[r, 0], boxes[r, 1] = x0 // TILE_WIDTH, y0 // TILE_HEIGHT
        boxes[r, 2] = 0 if empty else x1 // TILE_WIDTH - boxes[r, 0] + 1
        boxes[r, 3] = 0 if empty else y1 // TILE_HEIGHT - boxes[r, 1] + 1
    return boxes


@lane_function
def _tile_mask(x, y, ellipse, width):
    """Mask of the blocks of a tile that an ellipse touches, one block row per lane.

    Centre x, y and image width are relative to the tile. The span of a block row is from the leftmost to the
    rightmost point of the ellipse between the row's first and last pixel centres.
    """
    half_height, dy_right = ellipse.half_height, ellipse.dy_right
    slope, peak, fall = ellipse.slope, ellipse.peak, ellipse.fall
    low = ln.load(BLOCK_ROWS, _ROW_TOPS, 0) + (_HALF - y)
    high = ln.smaller(low + np.float32(BLOCK_HEIGHT - 1), half_height)
    low = ln.larger(low, -half_height)
    right = ln.smaller(ln.larger(low, dy_right), high)
    left = ln.smaller(ln.larger(low, -dy_right), high)
    reach_right = ln.square_root(ln.larger(peak - right * right * fall, _ZERO))
    reach_left = ln.square_root(ln.larger(peak - left * left * fall, _ZERO))
    first = ln.rounded_up(left * slope - reach_left + (x - _MARGIN_PX - _HALF))
    last = ln.rounded_down(right * slope + reach_right + (x + _MARGIN_PX - _HALF))
    first = ln.smaller(ln.larger(first, _ZERO), np.float32(TILE_WIDTH))
    last = ln.larger(ln.smaller(last, width - _WHOLE), -_WHOLE)
    empty = (low > high) | (first > last)
    last = ln.select(empty, -_WHOLE, ln.rounded_down(last * _PER_BLOCK))
    return ln.bytes_of_runs(ln.rounded_down(first * _PER_BLOCK), last)


@lane_kernel
def block_masks(order, starts, boxes, mean_px, conic, opacities, width, slot_tile, slot_mask):
    """Write (tile, block mask) to the slots of each Gaussian; slots of missed tiles get tile -1.

    Args:
        order: [m] int32 Gaussian ids, nearest first.
        starts: [m + 1] int64 first slot of each Gaussian.
        boxes: [m, 4] from tile_boxes; not recomputed here, as they might round differently from the slots.
        slot_tile, slot_mask: [slots] int32 and uint64, written.
    """
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    for r in prange(order.size):
        i, slot = order[r], starts[r]
        if slot == starts[r + 1]:
            continue
        x, y = mean_px[i, 0], mean_px[i, 1]
        ellipse = _ellipse(conic[i, 0], conic[i, 1], conic[i, 2], opacities[i])
        for tile_y in range(boxes[r, 1], boxes[r, 1] + boxes[r, 3]):
            for tile_x in range(boxes[r, 0], boxes[r, 0] + boxes[r, 2]):
                left, top = tile_x * TILE_WIDTH, tile_y * TILE_HEIGHT
                room = np.float32(min(width - left, TILE_WIDTH))
                mask = _tile_mask(x - np.float32(left), y - np.float32(top), ellipse, room)
                slot_mask[slot] = mask
                slot_tile[slot] = tile_y * tiles_x + tile_x if mask else -1
                slot += 1


@kernel
def count_chunks(slot_tile, starts, num_tiles):
    """Number of pairs of each chunk of consecutive Gaussians in each tile: [chunks, tiles] int32."""
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
    """Copy slots to pairs in tile order; ``positions`` [chunks, tiles] are overwritten."""
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
def _listed(radius_px, opacities):
    """Increasing int32 ids of the visible Gaussians."""
    ids, count = np.empty(opacities.size, np.int32), 0
    for i in range(opacities.size):
        ids[count] = i
        count += radius_px[i, 0] > 0 and radius_px[i, 1] > 0 and opacities[i] > _ALPHA_MIN
    return ids[:count]


def bin_tiles(mean_px, conic, opacities, depth, radius_px, width, height):
    """Sort the visible Gaussians by depth and list them for each tile they touch.

    A Gaussian touches a tile if the ellipse in which its alpha reaches 1/255 covers the centre of a pixel
    of the tile (with a margin of a hundredth of a pixel).

    Args:
        mean_px, conic, opacities: [n, 2], [n, 3], [n] float32, as in sfumato.ops.composite.
        depth: [n] float32, sort key; ties keep the order of the rows.
        radius_px: [n, 2] int32; 0 if culled.
        width, height: of the image, pixels.

    Returns:
        Tiles.
    """
    tiles_x, tiles_y = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    order = depth_order(depth, _listed(radius_px, opacities))
    starts = np.zeros(order.size + 1, np.int64)
    boxes = tile_boxes(order, mean_px, conic, opacities, width, height)
    np.cumsum(boxes[:, 2].astype(np.int64) * boxes[:, 3], out=starts[1:])
    slot_tile = np.empty(starts[-1], np.int32)
    slot_mask = np.empty(starts[-1], np.uint64)
    block_masks(order, starts, boxes, mean_px, conic, opacities, width, slot_tile, slot_mask)
    return tiles_from_slots(order, starts, slot_tile, slot_mask, tiles_x * tiles_y)


def tiles_from_slots(order, slot_starts, slot_tile, slot_mask, num_tiles):
    """Reorder the pairs from lists per Gaussian to lists per tile.

    Args:
        order, slot_starts: as in Tiles.
        slot_tile: [s] int32 tile of each slot, or -1.
        slot_mask: [s] uint64 mask of its touched blocks.
        num_tiles: t.

    Returns:
        Tiles.
    """
    counts = count_chunks(slot_tile, slot_starts, num_tiles)
    tile_starts = np.zeros(num_tiles + 1, np.int64)
    np.cumsum(counts.sum(axis=0, dtype=np.int64), out=tile_starts[1:])
    positions = tile_starts[:-1] + np.cumsum(counts, axis=0, dtype=np.int64) - counts
    pair_rank = np.empty(tile_starts[-1], np.int32)
    pair_mask = np.empty(tile_starts[-1], np.uint64)
    slot_pair = np.empty(slot_starts[-1], np.int64)
    scatter_pairs(slot_tile, slot_mask, slot_starts, positions, pair_rank, pair_mask, slot_pair)
    return Tiles(order, slot_starts, slot_pair, pair_rank, pair_mask, tile_starts)
