"""Front-to-back blending along rays, each in its own order (see trace_hits for the order)."""

import numpy as np
from numba import prange

from sfumato.ops.cpu import bundles
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.image_rays import (
    BLOCK_COLUMNS,
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    BLOCKS,
    LANES,
    TILE_HEIGHT,
    TILE_WIDTH,
)
from sfumato.ops.cpu.jit import lane_kernel
from sfumato.ops.cpu.trace_hits import (
    RAY_PLANES,
    SLOT,
    TAU,
    copy_tile,
    list_blocks,
    load_rays,
    room_of_entries,
    room_of_tiles,
    seen,
    walk,
)
from sfumato.ops.cpu.trace_records import CHANNELS

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)

# Tiles are dealt to this many tasks in turn, so that busy regions spread over the threads.
STRIPS = 64
# Numbers of an entry's rows: distance, alpha and transmittance.
HIT_ROWS = 3 * LANES


@lane_kernel
def trace_forward(
    channels, moving, exact, records, fine, background,
    offsets, beginnings, middles, near, far, order, pair_rank, pair_mask, tile_starts,
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
        nearby, near_fine, lists, counts, ahead = room_of_tiles(longest, stride)
        flat, room = nearby.ravel(), room_of_entries(longest, HIT_ROWS)
        rays = np.empty(RAY_PLANES, np.float32)
        planes = np.empty(LANES * (d + 2), np.float32)
        hits, _, _, who, keys, _, _ = room
        for tile in range(strip, num_tiles, strips):
            start = tile_starts[tile]
            copy_tile(records, fine, order, pair_rank, start, tile_starts[tile + 1], nearby, near_fine)
            list_blocks(pair_mask, start, tile_starts[tile + 1], flat, stride, lists, counts, ahead)
            for block in range(BLOCKS):
                x0 = (tile % tiles_x) * TILE_WIDTH + (block % BLOCK_COLUMNS) * BLOCK_WIDTH
                y0 = (tile // tiles_x) * TILE_HEIGHT + (block // BLOCK_COLUMNS) * BLOCK_HEIGHT
                if x0 >= width or y0 >= height:
                    continue
                through = load_rays(moving, rays, offsets, beginnings, tile, block)
                walked = walk(
                    exact, moving, rays, flat, stride, near_fine, middles[tile, block], near, far, through,
                    lists[block, : counts[block]], ahead, room, HIT_ROWS,
                )  # fmt: skip
                transmittance, travelled = through * _ZERO + _ONE, through * _ZERO
                colour = bundles.zeros_like_channels(LANES, channels)
                for j in range(walked):
                    n = keys[j] & SLOT
                    weight, rest, live = seen(hits, n * HIT_ROWS)
                    transmittance = ln.select(live, ln.smaller(transmittance, rest), transmittance)
                    travelled = travelled + weight * ln.load(LANES, hits, n * HIT_ROWS + TAU)
                    colour = bundles.add_weighted(colour, weight, flat, np.intp(who[n]) * stride + CHANNELS)
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
