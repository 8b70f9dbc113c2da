"""The gradient of blending along rays: front to back again, with the same decisions.

Only the image is stored per ray (Deybach 2025, eq. 21). Sums over a tile's rays are one row per (Gaussian,
tile) pair, gathered afterwards (see gradients).
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops.cpu.image_trace.hits import (
    ALPHA,
    HIGH,
    LOW,
    OWN,
    SHARE,
    SLOT,
    TAU,
    WEIGHT,
    blended_entry,
    empty_buffers,
    load_tile,
    walk,
)
from sfumato.ops.cpu.image_trace.rays import BLOCK_HEIGHT, BLOCK_WIDTH, BLOCKS, LANES, corner_of, lane_of
from sfumato.ops.cpu.image_trace.records import CHANNELS, X, Y, Z
from sfumato.ops.cpu.image_trace.response import RAY_PLANES, hit_where, intersect, load_block
from sfumato.ops.cpu.jit import lane_function, lane_function_with_arrays, lane_kernel
from sfumato.ops.cpu.raster.splats import longest_list
from sfumato.ops.cpu.simd import bundles
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.blending import ALPHA_MAX, STRIPS, blend

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
# Planes of a block: the gradients read, and the gradients to the rays, which are written.
_TO_ALPHA, _TO_DISTANCE, _REMAINING, _OUTPUT, _TO_CHANNELS = 0, LANES, 2 * LANES, 3 * LANES, 4 * LANES
_DIRECTION, _OFFSET = 0, 3 * LANES
HIT_ROWS = 5 * LANES  # Floats of an entry's rows, including OWN and SHARE.


class Outputs(NamedTuple):
    """Results of rays, or gradients to them: [h, w, d], [h, w, 1], [h, w, 1] float32."""

    image: np.ndarray
    alpha: np.ndarray
    distance: np.ndarray


class TracedSums(NamedTuple):
    """Sums of pairs [p, at least 10 + d (+ 1)], and gradients to rays [h, w, 6] or none; float32.

    Sum i is in column bundles.totals_position(i, count). Rays: directions, then offsets.
    """

    pairs: np.ndarray
    rays: np.ndarray


class BlockGradients(NamedTuple):
    """Gradients of a block of rays.

    Attributes:
        planes, to_channels: gradients to its results, from ``_TO_ALPHA`` on, and to its channels as a Bundle.
        to_rays: [RAY_PLANES] gradients to the rays, from ``_DIRECTION`` on, incremented.
        sums, row: sums of the tile's pairs, incremented, and the number of floats per pair.
    """

    planes: np.ndarray
    to_channels: bundles.BundleType
    to_rays: np.ndarray
    sums: np.ndarray
    row: int


@lane_function
def _load_block(planes, at, source, k, x0, y0):
    """Copy channel ``k`` of ``source`` [h, w, d] under a block to ``planes`` from ``at``."""
    height, width = source.shape[:2]
    for row in range(BLOCK_HEIGHT):
        for column in range(BLOCK_WIDTH):
            inside = y0 + row < height and x0 + column < width
            planes[at + lane_of(row, column)] = source[y0 + row, x0 + column, k] if inside else _ZERO


@lane_function_with_arrays
def _load_gradients(channels, deep, outputs, background, output_grads, x0, y0, planes, to_rays, sums, row):
    """BlockGradients of the block at (x0, y0), from Outputs and the gradients to them, ``output_grads``.

    ``_REMAINING`` starts as the sum of output times gradient; the background contributes to that of alpha.
    """
    image, alpha, distance = outputs.image, outputs.alpha, outputs.distance
    to_image, to_alpha, to_distance = output_grads.image, output_grads.alpha, output_grads.distance
    _load_block(planes, _TO_ALPHA, to_alpha, 0, x0, y0)
    _load_block(planes, _OUTPUT, alpha, 0, x0, y0)
    left = ln.load(LANES, planes, _TO_ALPHA)
    remaining = left * ln.load(LANES, planes, _OUTPUT)
    for k in range(background.size):
        _load_block(planes, _TO_CHANNELS + LANES * k, to_image, k, x0, y0)
        _load_block(planes, _OUTPUT, image, k, x0, y0)
        to_channel = ln.load(LANES, planes, _TO_CHANNELS + LANES * k)
        remaining = remaining + to_channel * (ln.load(LANES, planes, _OUTPUT) - background[k])
        left = left - to_channel * background[k]
    if len(deep) > 0:
        _load_block(planes, _TO_DISTANCE, to_distance, 0, x0, y0)
        _load_block(planes, _OUTPUT, distance, 0, x0, y0)
        remaining = remaining + ln.load(LANES, planes, _TO_DISTANCE) * ln.load(LANES, planes, _OUTPUT)
    ln.store(planes, _TO_ALPHA, left)
    ln.store(planes, _REMAINING, remaining)
    to_rays[:] = _ZERO
    to_channels = bundles.load_channels(LANES, channels, planes, _TO_CHANNELS)
    return BlockGradients(planes, to_channels, to_rays, sums, row)


@lane_function
def _subtract_in_world(target, at, flat, record, x, y, z):
    """Subtract X x + Y y + Z z, a gradient in the unit ball's frame, from three planes of world axes."""
    for k in range(3):
        value = x * flat[record + X + k] + y * flat[record + Y + k] + z * flat[record + Z + k]
        ln.store(target, at + k * LANES, ln.load(LANES, target, at + k * LANES) - value)


@lane_function
def _to_weight(deep, grads, colours, at, tau):
    """Gradient to the weight of a Gaussian whose channels begin at ``at``."""
    value = bundles.dot_row(grads.to_channels, colours, at) + ln.load(LANES, grads.planes, _TO_ALPHA)
    if len(deep) > 0:
        value = value + ln.load(LANES, grads.planes, _TO_DISTANCE) * tau
    return value


@lane_function
def _to_log_alpha(own, behind, alpha, live):
    """Gradient to log alpha; ``own`` is the weight times its gradient, ``behind`` the sum of these behind."""
    # A clamped alpha has no gradient.
    return ln.select(live & (alpha < ALPHA_MAX), own - behind * (alpha / (_ONE - alpha)), _ZERO)


@lane_function
def _pair_sums(deep, with_rays, absolute, grads, flat, at, point, weight, to_log_alpha):
    """Bundle of the sums that the rays of a block contribute to a pair."""
    # With g = dL/dlog alpha and h = dL/dtau / |u|^2, dL/do = -g y - h u and dL/du = tau dL/do - h y.
    px, py, pz = to_log_alpha * point.yx, to_log_alpha * point.yy, to_log_alpha * point.yz
    fx, fy, fz, hx, hy, hz = px, py, pz, px * _ZERO, py * _ZERO, pz * _ZERO
    nxx, nxy, nxz = point.yx * px, point.yx * py, point.yx * pz
    nyy, nyz, nzz = point.yy * py, point.yy * pz, point.yz * pz
    if len(deep) > 0:
        ux, uy, uz = point.ux, point.uy, point.uz
        h = ln.load(LANES, grads.planes, _TO_DISTANCE) * weight * point.inverse
        hx, hy, hz = h * point.yx, h * point.yy, h * point.yz
        fx, fy, fz = px + h * ux, py + h * uy, pz + h * uz
        nxx, nxy, nxz = nxx + ux * hx * _TWO, nxy + (ux * hy + uy * hx), nxz + (ux * hz + uz * hx)
        nyy, nyz, nzz = nyy + uy * hy * _TWO, nyz + (uy * hz + uz * hy), nzz + uz * hz * _TWO
    found = bundles.gather6(nxx, nxy, nxz, nyy, nyz, nzz)
    if len(with_rays) > 0:
        tau, to_rays = point.tau, grads.to_rays
        _subtract_in_world(to_rays, _DIRECTION, flat, at, fx * tau + hx, fy * tau + hy, fz * tau + hz)
        _subtract_in_world(to_rays, _OFFSET, flat, at, fx, fy, fz)
    found = bundles.join(bundles.join(bundles.gather2(fx, fy), bundles.gather2(fz, to_log_alpha)), found)
    found = bundles.join(found, bundles.scaled(grads.to_channels, weight))
    if len(absolute) > 0:
        steep = _ZERO * px
        for k in range(3):
            slope = px * flat[at + X + k] + py * flat[at + Y + k] + pz * flat[at + Z + k]
            steep = steep + slope * slope
        found = bundles.join(found, bundles.gather1(ln.square_root(steep)))
    return found


@lane_function
def _add_in_one_order(moving, deep, with_rays, absolute, block, nearby, limits, grads):
    """Add the sums of a block whose rays share one depth order."""
    names, flat = block.names, nearby.flat
    behind = ln.load(LANES, grads.planes, _REMAINING)
    transmittance = ln.select(block.some, ln.spread(LANES, _ONE), -_ONE)
    for j in range(names.size):
        local = ln.index(names[j])
        at = local * nearby.stride
        point = intersect(moving, block, nearby, local)
        hit = hit_where(point, flat, at, limits)
        blended = blend(point.log2_alpha, hit, transmittance)
        weight, transmittance = blended.weight, blended.transmittance
        own = weight * _to_weight(deep, grads, flat, at + CHANNELS, point.tau)
        behind = behind - own
        to_log_alpha = _to_log_alpha(own, behind, blended.alpha, blended.live)
        found = _pair_sums(deep, with_rays, absolute, grads, flat, at, point, weight, to_log_alpha)
        bundles.accumulate_totals(grads.sums, local * grads.row, found)
        if (j & 3) == 3 and not ln.any_true(transmittance > _ZERO):
            break


@lane_function
def _fill_own(deep, grads, nearby, walked, entries):
    """Fill WEIGHT, and OWN, the weight times its gradient, of the walked entries."""
    hits = entries.hits
    for j in range(walked):
        n = entries.keys[j] & SLOT
        at = n * HIT_ROWS
        weight = blended_entry(hits, at).weight
        tau = ln.load(LANES, hits, at + TAU)
        ln.store(hits, at + WEIGHT, weight)
        of_channels = np.intp(entries.members[n]) * nearby.stride + CHANNELS
        to_weight = _to_weight(deep, grads, nearby.flat, of_channels, tau)
        ln.store(hits, at + OWN, weight * to_weight)


@lane_function
def _fill_share(walked, entries):
    """Fill SHARE of the walked entries: the sum of OWN up to each hit, in the depth order of each ray."""
    hits, spans, keys, window, ends = entries.hits, entries.spans, entries.keys, entries.window, entries.ends
    gone, waiting = ln.spread(LANES, _ZERO), np.uintp(0)
    for j in range(walked):
        n = np.uintp(keys[j] & SLOT)
        low, at = spans[n, LOW], np.intp(n) * HIT_ROWS
        tau, own = ln.load(LANES, hits, at + TAU), ln.load(LANES, hits, at + OWN)
        share, stay = gone + own, np.uintp(0)
        for q in range(waiting):
            other, high = window[q], ends[q]
            theirs = ln.load(LANES, hits, other + OWN)
            before = tau < ln.load(LANES, hits, other + TAU)
            share = ln.select(before, share, share + theirs)
            sum_ = ln.load(LANES, hits, other + SHARE)
            ln.store(hits, other + SHARE, ln.select(before, sum_ + own, sum_))
            goes = high <= low
            gone = gone + theirs * (_ONE if goes else _ZERO)
            window[stay], ends[stay] = other, high
            stay += np.uintp(not goes)
        ln.store(hits, at + SHARE, share)
        window[stay], ends[stay] = at, spans[n, HIGH]
        waiting = stay + np.uintp(1)


@lane_function
def _add_per_ray(moving, deep, with_rays, absolute, block, nearby, limits, grads, entries):
    """The same for a block whose rays each have their own depth order."""
    hits, flat = entries.hits, nearby.flat
    walked = walk(moving, block, nearby, limits, entries, HIT_ROWS)
    _fill_own(deep, grads, nearby, walked, entries)
    _fill_share(walked, entries)
    for j in range(walked):
        n = entries.keys[j] & SLOT
        local, entry = np.intp(entries.members[n]), n * HIT_ROWS
        at = local * nearby.stride
        point = intersect(moving, block, nearby, local)
        weight, alpha = ln.load(LANES, hits, entry + WEIGHT), ln.load(LANES, hits, entry + ALPHA)
        behind = ln.load(LANES, grads.planes, _REMAINING) - ln.load(LANES, hits, entry + SHARE)
        to_log_alpha = _to_log_alpha(ln.load(LANES, hits, entry + OWN), behind, alpha, weight > _ZERO)
        found = _pair_sums(deep, with_rays, absolute, grads, flat, at, point, weight, to_log_alpha)
        bundles.accumulate_totals(grads.sums, local * grads.row, found)


@lane_kernel
def trace_backward(
    channels, moving, exact, deep, with_rays, absolute, records, rays, limits, tiles, background,
    outputs, output_grads, sums,
):  # fmt: skip
    """For each (Gaussian, tile) pair, the sums over rays from which its gradients are computed.

    Args:
        channels, moving, exact, records, rays, limits, background: as in trace_forward.
        tiles: the same, with the masks ``counted`` of trace_forward.
        deep, with_rays, absolute: () or (0,), fixed at compile time: whether there is a gradient to the
            distance, and whether to compute those to the rays and the sum of |dL/dmean|, the last sum.
        outputs, output_grads: Outputs of trace_forward, and the gradients to them.
        sums: TracedSums of zeros, written.
    """
    height, width, d = outputs.image.shape
    starts = tiles.tile_starts
    # Written in the parallel loop, where Numba loses writes to a field of a tuple from outside.
    of_pairs, of_rays = sums
    stride, num_tiles, row = records.rough.shape[1], starts.size - 1, of_pairs.shape[1]
    strips, longest = min(STRIPS, num_tiles), longest_list(starts)
    for strip in prange(strips):
        buffers = empty_buffers(exact, longest, stride, HIT_ROWS)
        nearby, entries, lists, counts = buffers.nearby, buffers.entries, buffers.lists, buffers.counts
        to_rays = np.empty(RAY_PLANES, np.float32)
        planes = np.empty(_TO_CHANNELS + LANES * d, np.float32)
        for tile in range(strip, num_tiles, strips):
            load_tile(exact, records, tiles, tile, buffers)
            found = of_pairs[starts[tile] : starts[tile + 1]].ravel()
            for number in range(BLOCKS):
                x0, y0 = corner_of(tile, number, width)
                if x0 >= width or y0 >= height or counts[number] == 0:
                    continue
                names = lists[number, : counts[number]]
                block = load_block(moving, exact, rays, tile, number, buffers.rays, names)
                grads = _load_gradients(
                    channels, deep, outputs, background, output_grads, x0, y0, planes, to_rays, found, row
                )
                if len(exact) > 0:
                    _add_per_ray(moving, deep, with_rays, absolute, block, nearby, limits, grads, entries)
                else:
                    _add_in_one_order(moving, deep, with_rays, absolute, block, nearby, limits, grads)
                if len(with_rays) > 0:
                    for line in range(min(BLOCK_HEIGHT, height - y0)):
                        for column in range(min(BLOCK_WIDTH, width - x0)):
                            for k in range(6):
                                of_rays[y0 + line, x0 + column, k] = to_rays[
                                    k * LANES + lane_of(line, column)
                                ]
