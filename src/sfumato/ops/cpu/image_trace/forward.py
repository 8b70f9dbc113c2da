"""Front-to-back blending along rays, each in its own depth order (see hits), or all in a common one."""

import numpy as np
from numba import prange

from sfumato.ops.cpu.image_trace.hits import SLOT, TAU, blended_entry, empty_buffers, load_tile, walk
from sfumato.ops.cpu.image_trace.rays import BLOCK_HEIGHT, BLOCK_WIDTH, BLOCKS, LANES, corner_of, lane_of
from sfumato.ops.cpu.image_trace.records import CHANNELS
from sfumato.ops.cpu.image_trace.response import hit_where, intersect, load_block
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.raster.splats import longest_list
from sfumato.ops.cpu.simd import bundles
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.blending import STRIPS, blend

_ZERO, _ONE, _NONE = np.float32(0.0), np.float32(1.0), np.uint64(0)
# Floats of an entry's rows: distance, alpha and transmittance.
HIT_ROWS = 3 * LANES


@lane_function
def _blend_in_one_order(channels, moving, deep, block, nearby, limits, counted, bit):
    """(transmittance, sum of weight times tau, colours) of a block whose rays share one depth order.

    Sets ``bit`` in ``counted`` [pairs of the tile] for Gaussians that change any ray.
    """
    names, flat = block.names, nearby.flat
    transmittance = ln.select(block.some, ln.spread(LANES, _ONE), -_ONE)
    travelled, colour = ln.spread(LANES, _ZERO), bundles.zeros_like_channels(LANES, channels)
    for j in range(names.size):
        local = ln.index(names[j])
        at = ln.index(local * nearby.stride)
        point = intersect(moving, block, nearby, local)
        blended = blend(point.log2_alpha, hit_where(point, flat, at, limits), transmittance)
        weight, after = blended.weight, blended.transmittance
        # Includes rays that stop at this Gaussian, whose weight is then zero.
        counted[local] |= bit if ln.any_true(after < transmittance) else _NONE
        transmittance = after
        if len(deep) > 0:
            travelled = travelled + weight * point.tau
        colour = bundles.add_weighted(colour, weight, flat, at + CHANNELS)
        if (j & 3) == 3 and not ln.any_true(transmittance > _ZERO):
            break
    return ln.magnitude(transmittance), travelled, colour


@lane_function
def _blend_in_ray_orders(channels, moving, deep, block, nearby, limits, counted, bit, entries):
    """The same for a block whose rays each have their own depth order."""
    hits = entries.hits
    walked = walk(moving, block, nearby, limits, entries, HIT_ROWS)
    transmittance, travelled = ln.spread(LANES, _ONE), ln.spread(LANES, _ZERO)
    colour = bundles.zeros_like_channels(LANES, channels)
    for j in range(walked):
        n = entries.keys[j] & SLOT
        local = ln.index(entries.members[n])
        entry = blended_entry(hits, n * HIT_ROWS)
        weight = entry.weight
        counted[local] |= bit if ln.any_true(entry.reached) else _NONE
        transmittance = ln.select(entry.live, ln.smaller(transmittance, entry.rest), transmittance)
        if len(deep) > 0:
            travelled = travelled + weight * ln.load(LANES, hits, n * HIT_ROWS + TAU)
        colour = bundles.add_weighted(colour, weight, nearby.flat, local * nearby.stride + CHANNELS)
    return transmittance, travelled, colour


@lane_kernel
def trace_forward(
    channels, moving, exact, deep, records, rays, limits, tiles, background, image, alpha, distance, counted
):
    """Blend every tile.

    Args:
        channels: tuple whose length is d, fixed at compile time.
        moving, exact, deep: () or (0,), fixed at compile time: whether rays have different origins, whether
            each ray has its own depth order rather than that of ``tiles``, and whether to compute distances.
        records: Records.
        rays: RayBlocks.
        limits: (near, far) distance, float32.
        tiles: from bin_rays.
        background: [d].
        image, alpha, distance: [h, w, d], [h, w], [h, w] float32, written; distance only if ``deep``.
        counted: [p] uint64 zeros; written with pair_mask without the blocks where a Gaussian changes nothing.
    """
    height, width, d = image.shape
    starts = tiles.tile_starts
    stride, num_tiles = records.rough.shape[1], starts.size - 1
    strips = min(STRIPS, num_tiles)
    longest = longest_list(starts)
    for strip in prange(strips):
        buffers = empty_buffers(exact, longest, stride, HIT_ROWS)
        nearby, entries, lists, counts = buffers.nearby, buffers.entries, buffers.lists, buffers.counts
        planes = np.empty(LANES * (d + 2), np.float32)
        for tile in range(strip, num_tiles, strips):
            load_tile(exact, records, tiles, tile, buffers)
            found = counted[starts[tile] : starts[tile + 1]]
            for number in range(BLOCKS):
                x0, y0 = corner_of(tile, number, width)
                if x0 >= width or y0 >= height:
                    continue
                names, bit = lists[number, : counts[number]], np.uint64(1) << np.uint64(number)
                block = load_block(moving, exact, rays, tile, number, buffers.rays, names)
                if len(exact) > 0:
                    transmittance, travelled, colour = _blend_in_ray_orders(
                        channels, moving, deep, block, nearby, limits, found, bit, entries
                    )
                else:
                    transmittance, travelled, colour = _blend_in_one_order(
                        channels, moving, deep, block, nearby, limits, found, bit
                    )
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
