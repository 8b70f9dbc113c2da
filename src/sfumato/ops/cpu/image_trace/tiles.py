"""Assignment of Gaussians to the tiles and blocks of an image of rays, for any camera model.

Blocks (4x4 or 8x4 pixels) and tiles (64 blocks) have bounding boxes of their ray directions; a Gaussian is
assigned if the smallest sigma over all directions in the box is within its hull. The test is conservative and
independent of the camera model, because it uses directions only. If rays have different origins, the bounding
box of these is included.
"""

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.image_trace.rays import BLOCKS, GROUP
from sfumato.ops.cpu.image_trace.records import LOG2_OPACITY, NEAREST, W, X, Y, Z
from sfumato.ops.cpu.jit import lane_function, lane_kernel, serial_kernel
from sfumato.ops.cpu.raster.depth_order import depth_order
from sfumato.ops.cpu.raster.tiles import tiles_from_slots
from sfumato.ops.cpu.simd import lanes as ln

# 2 ln 2: twice the sigma that halves a response.
_TWICE_LN2 = np.float32(2.0 * np.log(2.0))
_LOG2_ALPHA_MIN = np.float32(np.log2(constants.ALPHA_MIN))
# Records are prefetched this many Gaussians ahead.
_AHEAD = 8
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@lane_function
def _spans(flat, row, cx, cy, cz, ex, ey, ez):
    """Centre and half size of the interval of row . direction over boxes."""
    middle = cx * flat[row] + cy * flat[row + 1] + cz * flat[row + 2]
    half = ex * abs(flat[row]) + ey * abs(flat[row + 1]) + ez * abs(flat[row + 2])
    return middle, half


@lane_function
def _touched(moving, flat, at, limit, shift, boxes, first, stride):
    """Mask of the 16 boxes from ``first`` in which some direction may reach the hull.

    ``limit`` is the squared radius of the hull in the unit ball's frame. For rays with different origins,
    ``shift`` bounds |X . o|, |Y . o| and |Z . o| of the offsets o.
    """
    cx, cy, cz = (
        ln.load(GROUP, boxes, first),
        ln.load(GROUP, boxes, first + stride),
        ln.load(GROUP, boxes, first + 2 * stride),
    )
    ex, ey = ln.load(GROUP, boxes, first + 3 * stride), ln.load(GROUP, boxes, first + 4 * stride)
    ez = ln.load(GROUP, boxes, first + 5 * stride)
    x, half_x = _spans(flat, at + X, cx, cy, cz, ex, ey, ez)
    y, half_y = _spans(flat, at + Y, cx, cy, cz, ex, ey, ez)
    z, half_z = _spans(flat, at + Z, cx, cy, cz, ex, ey, ez)
    x, y, w = ln.magnitude(x), ln.magnitude(y), flat[at + W]
    least_x, least_y = ln.larger(x - half_x, _ZERO), ln.larger(y - half_y, _ZERO)
    most_z = ln.magnitude(z) + half_z
    if len(moving) == 0:
        # Compares w^2 s with the squared radius times |u|^2, for the smallest s.
        s = least_x * least_x + least_y * least_y
        return (s * (w * w - limit) <= most_z * most_z * limit) & (z + half_z > _ZERO) & (ex >= _ZERO)
    most_x, most_y = x + half_x, y + half_y
    # Compares the smallest |o x u|^2 with the squared radius times the largest |u|^2.
    across, along = max(w - shift[2], _ZERO), w + shift[2]
    a = ln.larger(least_y * across - most_z * shift[1], _ZERO)
    b = ln.larger(least_x * across - most_z * shift[0], _ZERO)
    reached = a * a + b * b <= (most_x * most_x + most_y * most_y + most_z * most_z) * limit
    ahead = ln.larger(z + half_z, _ZERO) * along + most_x * shift[0] + most_y * shift[1] > _ZERO
    return reached & ahead & (ex >= _ZERO)


@lane_function
def _hull(moving, flat, at, extent, shift):
    """Squared radius of a Gaussian's hull, slightly widened; fills ``shift`` [3] if ``moving``."""
    for k in range(3 if len(moving) > 0 else 0):
        value = _ZERO
        for j in range(3):
            value += abs(flat[at + 3 * k + j]) * extent[j]
        shift[k] = value
    return (flat[at + LOG2_OPACITY] - _LOG2_ALPHA_MIN) * _TWICE_LN2 * np.float32(1.00001) + np.float32(1e-5)


@lane_function
def _prefetch_later(flat, stride, order, r):
    """Prefetch a record that is read soon: records are not stored in depth order."""
    later = np.intp(order[min(r + _AHEAD, order.size - 1)]) * stride
    ln.prefetch(flat, later)
    ln.prefetch(flat, later + LOG2_OPACITY)


@lane_kernel
def find_tiles(moving, order, records, extent, group_boxes, tile_boxes):
    """Tiles that each Gaussian of ``order`` may touch: their number [m], and one bit per tile [m, groups]."""
    counts, found = (
        np.zeros(order.size, np.int64),
        np.zeros((order.size, tile_boxes.shape[1] // GROUP), np.uint16),
    )
    flat, boxes, padded = records.ravel(), tile_boxes.ravel(), tile_boxes.shape[1]
    outer, wide = group_boxes.ravel(), group_boxes.shape[1]
    chunk = 64
    for first in prange((order.size + chunk - 1) // chunk):
        shift = np.empty(3, np.float32)
        for r in range(first * chunk, min((first + 1) * chunk, order.size)):
            _prefetch_later(flat, records.shape[1], order, r)
            at = np.intp(order[r]) * records.shape[1]
            limit = _hull(moving, flat, at, extent, shift)
            for begin in range(0, wide, GROUP):
                groups = ln.bits_of(_touched(moving, flat, at, limit, shift, outer, begin, wide))
                while groups:
                    group = begin + ln.trailing_zeros(groups)
                    groups &= groups - np.uint64(1)
                    bits = ln.bits_of(_touched(moving, flat, at, limit, shift, boxes, group * GROUP, padded))
                    found[r, group] = bits
                    while bits:
                        bits &= bits - np.uint64(1)
                        counts[r] += 1
    return counts, found


@lane_kernel
def list_tiles(moving, order, records, extent, found, block_boxes, starts, slot_tile, slot_mask):
    """Write (tile, mask of its blocks) to the slots of each Gaussian; tile -1 if no block is touched."""
    flat, inner = records.ravel(), block_boxes.ravel()
    chunk = 64
    for first in prange((order.size + chunk - 1) // chunk):
        shift = np.empty(3, np.float32)
        for r in range(first * chunk, min((first + 1) * chunk, order.size)):
            _prefetch_later(flat, records.shape[1], order, r)
            at, slot = np.intp(order[r]) * records.shape[1], starts[r]
            if slot == starts[r + 1]:
                continue
            limit = _hull(moving, flat, at, extent, shift)
            for group in range(found.shape[1]):
                bits = np.uint64(found[r, group])
                while bits:
                    tile = group * GROUP + ln.trailing_zeros(bits)
                    bits &= bits - np.uint64(1)
                    mask = np.uint64(0)
                    for block in range(0, BLOCKS, GROUP):
                        row = tile * 6 * BLOCKS + block
                        touched = ln.bits_of(_touched(moving, flat, at, limit, shift, inner, row, BLOCKS))
                        mask |= touched << np.uint64(block)
                    slot_mask[slot] = mask
                    slot_tile[slot] = tile if mask else -1
                    slot += 1


@serial_kernel
def _listed(distances, records, far):
    """Increasing int32 ids of the Gaussians that may be visible nearer than ``far``."""
    ids, count = np.empty(distances.size, np.int32), 0
    for i in range(distances.size):
        ids[count] = i
        count += distances[i] < np.inf and records[i, NEAREST] <= far
    return ids[:count]


def bin_rays(moving, records, distances, boxes, far):
    """Assign Gaussians to tiles, nearest mean first.

    Args:
        moving: () or (0,): whether rays have different origins.
        records, distances: from trace_records.
        boxes: RayBoxes.
        far: far limit of the distance.

    Returns:
        raster.tiles.Tiles, with masks of the blocks of image_trace.rays.
    """
    records = records.rough
    order = depth_order(distances, _listed(distances, records, np.float32(far)))
    starts = np.zeros(order.size + 1, np.int64)
    sizes, found = find_tiles(moving, order, records, boxes.extent, boxes.groups, boxes.tiles)
    np.cumsum(sizes, out=starts[1:])
    slot_tile = np.empty(starts[-1], np.int32)
    slot_mask = np.empty(starts[-1], np.uint64)
    list_tiles(moving, order, records, boxes.extent, found, boxes.blocks, starts, slot_tile, slot_mask)
    return tiles_from_slots(order, starts, slot_tile, slot_mask, len(boxes.blocks))
