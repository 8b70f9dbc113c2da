"""Front-to-back blending along rays, each in its own order (see trace_hits for the order)."""

import numpy as np
from numba import prange

from sfumato.ops.cpu import bundles
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.trace_hits import (
    RAY_PLANES,
    blend,
    copy_tile,
    list_blocks,
    load_rays,
    meet,
    sort_block,
)
from sfumato.ops.cpu.trace_records import CHANNELS, FINE
from sfumato.ops.cpu.trace_tiles import (
    BLOCK_COLUMNS,
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    BLOCKS,
    LANES,
    TILE_HEIGHT,
    TILE_WIDTH,
)

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)

# Tiles are dealt to this many tasks in turn, so that busy regions spread over the threads.
STRIPS = 64


@lane_function
def _add_row(colour, weight, who, turned, row, flat, stride):
    """Colour with a row's hits added, whose Gaussians may differ from ray to ray."""
    if not turned[row]:
        hits = ln.bits_of(weight > _ZERO)
        if hits:
            local = np.intp(who[row * LANES + ln.trailing_zeros(hits)])
            colour = bundles.add_weighted(colour, weight, flat, local * stride + CHANNELS)
        return colour
    names = ln.load(LANES, who, row * LANES)
    hits = ln.bits_of(weight > _ZERO)
    while hits:
        name = who[row * LANES + ln.trailing_zeros(hits)]
        same = names == name
        own = ln.select(same, weight, _ZERO)
        colour = bundles.add_weighted(colour, own, flat, np.intp(name) * stride + CHANNELS)
        hits &= ~ln.bits_of(same)
    return colour


@lane_kernel
def trace_forward(
    channels, moving, exact, records, fine, background,
    offsets, beginnings, middles, boxes, extent, near, far, order, pair_rank, pair_mask, tile_starts,
    image, alpha, distance,
):  # fmt: skip
    """Blend every tile.

    Args:
        channels: tuple whose length is d, fixed at compile time.
        moving: () or (0,), fixed at compile time: whether rays begin in different points.
        exact: whether each ray has its own order, or all that of ``order``.
        records, fine: from trace_records.
        background: [d].
        offsets, middles: from ray_blocks; beginnings: [tiles, 64, 3, 16] origins less the eye, or empty.
        boxes: block_boxes from ray_blocks; extent: [3] largest sizes of ``beginnings``.
        near, far: distances kept.
        order, pair_rank, pair_mask, tile_starts: from bin_rays.
        image, alpha, distance: [h, w, d], [h, w], [h, w] float32, written.
    """
    height, width, d = image.shape
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    stride, num_tiles = records.shape[1], tile_starts.size - 1
    strips = min(STRIPS, num_tiles)
    longest = np.max(tile_starts[1:] - tile_starts[:-1])
    for strip in prange(strips):
        lists, counts = np.empty((BLOCKS, longest), np.int32), np.empty(BLOCKS, np.int64)
        keys, bounds = np.empty((BLOCKS, longest), np.float32), np.empty((BLOCKS, longest + 1), np.float32)
        nearby, near_fine = np.empty((longest, stride), np.float32), np.empty((longest, FINE), np.float64)
        flat = nearby.ravel()
        rays = np.empty(RAY_PLANES, np.float32)
        planes = np.empty(LANES * (d + 2), np.float32)
        tau, alphas = np.empty((longest + 1) * LANES, np.float32), np.empty((longest + 1) * LANES, np.float32)
        who, turned = np.empty((longest + 1) * LANES, np.float32), np.empty(longest + 1, np.bool_)
        for tile in range(strip, num_tiles, strips):
            start = tile_starts[tile]
            copy_tile(records, fine, order, pair_rank, start, tile_starts[tile + 1], nearby, near_fine)
            list_blocks(
                exact, pair_mask, start, tile_starts[tile + 1], flat, stride, boxes[tile], extent,
                lists, keys, bounds, counts,
            )  # fmt: skip
            for block in range(BLOCKS):
                x0 = (tile % tiles_x) * TILE_WIDTH + (block % BLOCK_COLUMNS) * BLOCK_WIDTH
                y0 = (tile // tiles_x) * TILE_HEIGHT + (block // BLOCK_COLUMNS) * BLOCK_HEIGHT
                if x0 >= width or y0 >= height:
                    continue
                transmittance = load_rays(moving, rays, offsets, beginnings, tile, block)
                middle = middles[tile, block]
                colour = bundles.zeros_like_channels(LANES, channels)
                travelled = transmittance * _ZERO
                sort_block(exact, counts[block], lists[block], keys[block], bounds[block])
                head, tail = 0, 0
                for j in range(counts[block] + 1):
                    last, bound = j == counts[block], bounds[block, j]
                    local = np.intp(lists[block, j]) if not last else 0
                    while head < tail:
                        distances = ln.load(LANES, tau, head * LANES)
                        if ln.any_true(distances > bound):
                            break
                        weight, transmittance, _ = blend(ln.load(LANES, alphas, head * LANES), transmittance)
                        travelled = travelled + weight * distances
                        colour = _add_row(colour, weight, who, turned, head, flat, stride)
                        head += 1
                    if last or not ln.any_true(transmittance > _ZERO):
                        break
                    if head == tail:
                        head, tail = 0, 0
                    tail = meet(
                        moving, exact, rays, flat, local * stride, near_fine, local, middle, near, far,
                        transmittance, tau, alphas, who, turned, head, tail,
                    )  # fmt: skip
                transmittance = ln.magnitude(transmittance)
                colour = bundles.add_weighted(colour, transmittance, background, 0)
                bundles.store_channels(planes, 0, colour)
                ln.store(planes, LANES * d, transmittance)
                ln.store(planes, LANES * (d + 1), travelled)
                for row in range(min(BLOCK_HEIGHT, height - y0)):
                    for column in range(min(BLOCK_WIDTH, width - x0)):
                        lane = row * BLOCK_WIDTH + column
                        for k in range(d):
                            image[y0 + row, x0 + column, k] = planes[k * LANES + lane]
                        alpha[y0 + row, x0 + column] = _ONE - planes[d * LANES + lane]
                        distance[y0 + row, x0 + column] = planes[(d + 1) * LANES + lane]
