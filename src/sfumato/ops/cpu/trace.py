"""Front-to-back blending along rays: each in its own order (see trace_hits), or all in one."""

import numpy as np
from numba import prange

from sfumato.ops.cpu import bundles
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.blending import STRIPS, blend
from sfumato.ops.cpu.image_rays import BLOCK_HEIGHT, BLOCK_WIDTH, BLOCKS, LANES, corner_of, lane_of
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.ray_response import copy_tile, hit_where, load_rays, meet, middles_of, room_of_tiles
from sfumato.ops.cpu.splats import list_blocks
from sfumato.ops.cpu.trace_hits import SLOT, TAU, look_ahead, room_of_entries, seen, walk
from sfumato.ops.cpu.trace_records import CHANNELS

_ZERO, _ONE, _NONE = np.float32(0.0), np.float32(1.0), np.uint64(0)
# Numbers of an entry's rows: distance, alpha and transmittance.
HIT_ROWS = 3 * LANES


@lane_function
def _see_in_one_order(
    channels, moving, deep, rays, flat, stride, fine, middle, limits, some, names, counted, bit
):
    """(transmittance, sum of weight times tau, colours) of a block whose rays share one order.

    ``bit`` is set in ``counted`` [names] of those that change anything.
    """
    transmittance = ln.select(some, ln.spread(LANES, _ONE), -_ONE)
    travelled, colour = ln.spread(LANES, _ZERO), bundles.zeros_like_channels(LANES, channels)
    for j in range(names.size):
        local = np.intp(names[j])
        at = local * stride
        met = meet(moving, rays, flat, at, fine, local, middle)
        _, weight, after, _ = blend(met.log2_alpha, hit_where(met, flat, at, limits), transmittance)
        # A ray also changes where it stops, which gives no weight.
        counted[local] |= bit if ln.any_true(after < transmittance) else _NONE
        transmittance = after
        if len(deep) > 0:
            travelled = travelled + weight * met.tau
        colour = bundles.add_weighted(colour, weight, flat, at + CHANNELS)
        if (j & 3) == 3 and not ln.any_true(transmittance > _ZERO):
            break
    return ln.magnitude(transmittance), travelled, colour


@lane_function
def _see_in_their_orders(
    channels, moving, deep, rays, flat, stride, fine, middle, limits, some, names, counted, bit, room
):
    """The same of a block whose rays have an order each; ``room`` is from room_of_entries."""
    hits, _, _, who, keys, _, _, _ = room
    walked = walk(moving, rays, flat, stride, fine, middle, limits, some, names, room, HIT_ROWS)
    transmittance, travelled = ln.spread(LANES, _ONE), ln.spread(LANES, _ZERO)
    colour = bundles.zeros_like_channels(LANES, channels)
    for j in range(walked):
        n = keys[j] & SLOT
        weight, rest, live, reached = seen(hits, n * HIT_ROWS)
        counted[who[n]] |= bit if ln.any_true(reached) else _NONE
        transmittance = ln.select(live, ln.smaller(transmittance, rest), transmittance)
        if len(deep) > 0:
            travelled = travelled + weight * ln.load(LANES, hits, n * HIT_ROWS + TAU)
        colour = bundles.add_weighted(colour, weight, flat, np.intp(who[n]) * stride + CHANNELS)
    return transmittance, travelled, colour


@lane_kernel
def trace_forward(
    channels, moving, exact, deep, records, fine, background,
    offsets, beginnings, middles, near, far, order, pair_rank, pair_mask, tile_starts,
    image, alpha, distance, counted,
):  # fmt: skip
    """Blend every tile.

    Args:
        channels: tuple whose length is d, fixed at compile time.
        moving, exact, deep: () or (0,), fixed at compile time: whether rays begin in different points,
            whether each has its own order, not all that of ``order``, and whether distance is wanted.
        records, fine: from trace_records.
        background: [d].
        offsets, middles: from ray_blocks; beginnings: [tiles, 64, 3, LANES] origins less the eye, or empty.
        near, far: distances kept.
        order, pair_rank, pair_mask, tile_starts: from bin_rays.
        image, alpha, distance: [h, w, d], [h, w], [h, w] float32, written; distance where it is wanted.
        counted: [p] uint64 zeros; pair_mask without the blocks where a Gaussian changes nothing.
    """
    height, width, d = image.shape
    stride, num_tiles = records.shape[1], tile_starts.size - 1
    strips = min(STRIPS, num_tiles)
    longest = np.max(tile_starts[1:] - tile_starts[:-1])
    for strip in prange(strips):
        nearby, near_fine, lists, counts, rays = room_of_tiles(longest, stride)
        flat, room = nearby.ravel(), room_of_entries(longest if len(exact) > 0 else 0, HIT_ROWS)
        planes = np.empty(LANES * (d + 2), np.float32)
        for tile in range(strip, num_tiles, strips):
            start = tile_starts[tile]
            copy_tile(records, fine, order, pair_rank, start, tile_starts[tile + 1], nearby, near_fine)
            list_blocks(pair_mask, start, tile_starts[tile + 1], False, lists, counts)
            if len(exact) > 0:
                look_ahead(flat, stride, tile_starts[tile + 1] - start, room[-1])
            found = counted[start : tile_starts[tile + 1]]
            for block in range(BLOCKS):
                x0, y0 = corner_of(tile, block, width)
                if x0 >= width or y0 >= height:
                    continue
                some = load_rays(moving, rays, offsets, beginnings, tile, block)
                middle, limits = middles_of(exact, middles, tile, block), (near, far)
                names, bit = lists[block, : counts[block]], np.uint64(1) << np.uint64(block)
                if len(exact) > 0:
                    transmittance, travelled, colour = _see_in_their_orders(
                        channels, moving, deep, rays, flat, stride, near_fine, middle, limits, some, names,
                        found, bit, room,
                    )  # fmt: skip
                else:
                    transmittance, travelled, colour = _see_in_one_order(
                        channels, moving, deep, rays, flat, stride, near_fine, middle, limits, some, names,
                        found, bit,
                    )  # fmt: skip
                colour = bundles.add_weighted(colour, transmittance, background, 0)
                bundles.store_channels(planes, 0, colour)
                ln.store(planes, LANES * d, transmittance)
                ln.store(planes, LANES * (d + 1), travelled)
                for row in range(min(BLOCK_HEIGHT, height - y0)):
                    for column in range(min(BLOCK_WIDTH, width - x0)):
                        lane = lane_of(row, column)
                        for k in range(d):
                            image[y0 + row, x0 + column, k] = planes[k * LANES + lane]
                        alpha[y0 + row, x0 + column] = _ONE - planes[d * LANES + lane]
                        if len(deep) > 0:
                            distance[y0 + row, x0 + column] = planes[(d + 1) * LANES + lane]
