"""The gradient of blending along rays: front to back once more, with the same decisions.

Nothing is stored per ray but the image (Deybach 2025, eq. 21). Sums over a tile's rays go to a row of
their own per (Gaussian, tile) pair and are gathered afterwards (see gradients).
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
    empty_buffers,
    load_tile,
    seen,
    walk,
)
from sfumato.ops.cpu.image_trace.rays import BLOCK_HEIGHT, BLOCK_WIDTH, BLOCKS, LANES, corner_of, lane_of
from sfumato.ops.cpu.image_trace.records import CHANNELS, X, Y, Z
from sfumato.ops.cpu.image_trace.response import RAY_PLANES, hit_where, load_block, meet
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.simd import bundles
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.blending import ALPHA_MAX, STRIPS, blend

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
# Planes of a block: gradients that are read, then those to the rays, which are written.
_TO_ALPHA, _TO_DISTANCE, _REMAINING, _OUTPUT, _TO_CHANNELS = 0, LANES, 2 * LANES, 3 * LANES, 4 * LANES
_DIRECTION, _OFFSET = 0, 3 * LANES
HIT_ROWS = 5 * LANES  # Numbers of an entry's rows, with OWN and SHARE.


class Outputs(NamedTuple):
    """What rays saw, or its gradients: [h, w, d], [h, w, 1], [h, w, 1] float32."""

    image: np.ndarray
    alpha: np.ndarray
    distance: np.ndarray


class TracedSums(NamedTuple):
    """Sums of (Gaussian, tile) pairs [p, at least 10 + d (+ 1)], to rays [h, w, 6] or none; float32.

    Sum i stands in column bundles.totals_position(i, count); directions come before offsets.
    """

    pairs: np.ndarray
    rays: np.ndarray


class BlockGradients(NamedTuple):
    """Gradients of what a block of rays saw, and what those of its Gaussians and rays are added to.

    Attributes:
        planes, to_channels: the first, from ``_TO_ALPHA`` on, and those to the channels as a Bundle.
        to_rays: [RAY_PLANES] those to the rays, from ``_DIRECTION`` on.
        sums, row: those of the tile's pairs, and how many numbers a pair has.
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


@lane_function
def _load_gradients(channels, deep, outputs, background, pulls, x0, y0, planes, to_rays, sums, row):
    """BlockGradients of the block at (x0, y0), from Outputs and their gradients, ``pulls``.

    ``_REMAINING`` starts as the sum of output times gradient; the background counts as a gradient of alpha.
    """
    image, alpha, distance = outputs.image, outputs.alpha, outputs.distance
    to_image, to_alpha, to_distance = pulls.image, pulls.alpha, pulls.distance
    _load_block(planes, _TO_ALPHA, to_alpha, 0, x0, y0)
    _load_block(planes, _OUTPUT, alpha, 0, x0, y0)
    left = ln.load(LANES, planes, _TO_ALPHA)
    remaining = left * ln.load(LANES, planes, _OUTPUT)
    for k in range(background.size):
        _load_block(planes, _TO_CHANNELS + LANES * k, to_image, k, x0, y0)
        _load_block(planes, _OUTPUT, image, k, x0, y0)
        pull = ln.load(LANES, planes, _TO_CHANNELS + LANES * k)
        remaining = remaining + pull * (ln.load(LANES, planes, _OUTPUT) - background[k])
        left = left - pull * background[k]
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
def _take_from_world(target, at, flat, record, x, y, z):
    """Take X x + Y y + Z z, a gradient in the unit ball's frame, off three planes of world axes."""
    for k in range(3):
        value = x * flat[record + X + k] + y * flat[record + Y + k] + z * flat[record + Z + k]
        ln.store(target, at + k * LANES, ln.load(LANES, target, at + k * LANES) - value)


@lane_function
def _worth(deep, grads, colours, at, tau):
    """Gradient with respect to the weight of a Gaussian whose channels begin at ``at``."""
    value = bundles.dot_row(grads.to_channels, colours, at) + ln.load(LANES, grads.planes, _TO_ALPHA)
    if len(deep) > 0:
        value = value + ln.load(LANES, grads.planes, _TO_DISTANCE) * tau
    return value


@lane_function
def _pull(own, behind, alpha, live):
    """-dL/dsigma, from the weight times its gradient, and the sum of this over all Gaussians behind."""
    # A clamped alpha has no gradient.
    return ln.select(live & (alpha < ALPHA_MAX), own - behind * (alpha / (_ONE - alpha)), _ZERO)


@lane_function
def _pair_sums(deep, turning, absolute, grads, flat, at, met, weight, pull):
    """Bundle of the sums that the rays of a block add to those of a pair."""
    # With h = dL/dtau / |u|^2, dL/do = -pull y - h u and dL/du = tau dL/do - h y.
    px, py, pz = pull * met.yx, pull * met.yy, pull * met.yz
    fx, fy, fz, hx, hy, hz = px, py, pz, px * _ZERO, py * _ZERO, pz * _ZERO
    nxx, nxy, nxz = met.yx * px, met.yx * py, met.yx * pz
    nyy, nyz, nzz = met.yy * py, met.yy * pz, met.yz * pz
    if len(deep) > 0:
        ux, uy, uz = met.ux, met.uy, met.uz
        h = ln.load(LANES, grads.planes, _TO_DISTANCE) * weight * met.inverse
        hx, hy, hz = h * met.yx, h * met.yy, h * met.yz
        fx, fy, fz = px + h * ux, py + h * uy, pz + h * uz
        nxx, nxy, nxz = nxx + ux * hx * _TWO, nxy + (ux * hy + uy * hx), nxz + (ux * hz + uz * hx)
        nyy, nyz, nzz = nyy + uy * hy * _TWO, nyz + (uy * hz + uz * hy), nzz + uz * hz * _TWO
    found = bundles.gather6(nxx, nxy, nxz, nyy, nyz, nzz)
    if len(turning) > 0:
        tau, to_rays = met.tau, grads.to_rays
        _take_from_world(to_rays, _DIRECTION, flat, at, fx * tau + hx, fy * tau + hy, fz * tau + hz)
        _take_from_world(to_rays, _OFFSET, flat, at, fx, fy, fz)
    found = bundles.join(bundles.join(bundles.gather2(fx, fy), bundles.gather2(fz, pull)), found)
    found = bundles.join(found, bundles.scaled(grads.to_channels, weight))
    if len(absolute) > 0:
        steep = _ZERO * px
        for k in range(3):
            slope = px * flat[at + X + k] + py * flat[at + Y + k] + pz * flat[at + Z + k]
            steep = steep + slope * slope
        found = bundles.join(found, bundles.gather1(ln.square_root(steep)))
    return found


@lane_function
def _add_in_one_order(moving, deep, turning, absolute, block, nearby, limits, grads):
    """Add the sums of a block whose rays share one order."""
    names, flat = block.names, nearby.flat
    behind = ln.load(LANES, grads.planes, _REMAINING)
    transmittance = ln.select(block.some, ln.spread(LANES, _ONE), -_ONE)
    for j in range(names.size):
        local = np.intp(names[j])
        at = local * nearby.stride
        met = meet(moving, block, nearby, local)
        hit = hit_where(met, flat, at, limits)
        blended = blend(met.log2_alpha, hit, transmittance)
        weight, transmittance = blended.weight, blended.transmittance
        own = weight * _worth(deep, grads, flat, at + CHANNELS, met.tau)
        behind = behind - own
        pull = _pull(own, behind, blended.alpha, blended.live)
        found = _pair_sums(deep, turning, absolute, grads, flat, at, met, weight, pull)
        bundles.accumulate_totals(grads.sums, local * grads.row, found)
        if (j & 3) == 3 and not ln.any_true(transmittance > _ZERO):
            break


@lane_function
def _own(deep, grads, nearby, walked, entries):
    """Fill WEIGHT and OWN, the weight times its gradient, of the walked entries."""
    hits = entries.hits
    for j in range(walked):
        n = entries.keys[j] & SLOT
        at = n * HIT_ROWS
        weight = seen(hits, at).weight
        tau = ln.load(LANES, hits, at + TAU)
        ln.store(hits, at + WEIGHT, weight)
        of_channels = np.intp(entries.who[n]) * nearby.stride + CHANNELS
        worth = _worth(deep, grads, nearby.flat, of_channels, tau)
        ln.store(hits, at + OWN, weight * worth)


@lane_function
def _share(walked, entries):
    """Fill SHARE of the walked entries: the sum of OWN up to their hits, in the order of each ray."""
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
def _add_in_their_orders(moving, deep, turning, absolute, block, nearby, limits, grads, entries):
    """The same of a block whose rays have an order each."""
    hits, flat = entries.hits, nearby.flat
    walked = walk(moving, block, nearby, limits, entries, HIT_ROWS)
    _own(deep, grads, nearby, walked, entries)
    _share(walked, entries)
    for j in range(walked):
        n = entries.keys[j] & SLOT
        local, entry = np.intp(entries.who[n]), n * HIT_ROWS
        at = local * nearby.stride
        met = meet(moving, block, nearby, local)
        weight, alpha = ln.load(LANES, hits, entry + WEIGHT), ln.load(LANES, hits, entry + ALPHA)
        behind = ln.load(LANES, grads.planes, _REMAINING) - ln.load(LANES, hits, entry + SHARE)
        pull = _pull(ln.load(LANES, hits, entry + OWN), behind, alpha, weight > _ZERO)
        found = _pair_sums(deep, turning, absolute, grads, flat, at, met, weight, pull)
        bundles.accumulate_totals(grads.sums, local * grads.row, found)


@lane_kernel
def trace_backward(
    channels, moving, exact, deep, turning, absolute, records, rays, limits, tiles, background,
    outputs, pulls, sums,
):  # fmt: skip
    """For each (Gaussian, tile) pair, the sums over rays from which its gradients follow.

    Args:
        channels, moving, exact, records, rays, limits, background: as in trace_forward.
        tiles: the same, with trace_forward's ``counted`` for masks.
        deep, turning, absolute: () or (0,), fixed at compile time: whether the gradient of distance counts,
            and gradients to the rays and the sum of |dL/dmean|, the last of the sums, are wanted.
        outputs, pulls, sums: Outputs of trace_forward, their gradients, and TracedSums of zeros, written.
    """
    height, width, d = outputs.image.shape
    starts = tiles.tile_starts
    # What is written in the loop: Numba loses writes there to a field of a tuple that comes from outside.
    of_pairs, of_rays = sums
    stride, num_tiles, row = records.rough.shape[1], starts.size - 1, of_pairs.shape[1]
    strips = min(STRIPS, num_tiles)
    longest = np.max(starts[1:] - starts[:-1])
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
                    channels, deep, outputs, background, pulls, x0, y0, planes, to_rays, found, row
                )
                if len(exact) > 0:
                    _add_in_their_orders(
                        moving, deep, turning, absolute, block, nearby, limits, grads, entries
                    )
                else:
                    _add_in_one_order(moving, deep, turning, absolute, block, nearby, limits, grads)
                if len(turning) > 0:
                    for line in range(min(BLOCK_HEIGHT, height - y0)):
                        for column in range(min(BLOCK_WIDTH, width - x0)):
                            for k in range(6):
                                value = to_rays[k * LANES + lane_of(line, column)]
                                of_rays[y0 + line, x0 + column, k] = value
