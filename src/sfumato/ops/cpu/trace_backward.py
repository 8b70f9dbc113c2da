"""The gradient of blending along rays: front to back once more, with the same decisions.

Nothing is stored per ray but the image (Deybach 2025, eq. 21). Sums over a tile's rays go to a row of
their own per (Gaussian, tile) pair and are gathered afterwards (see trace_gradients).
"""

import numpy as np
from numba import prange

from sfumato.ops.cpu import bundles
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.blending import ALPHA_MAX, STRIPS, blend
from sfumato.ops.cpu.image_rays import BLOCK_HEIGHT, BLOCK_WIDTH, BLOCKS, LANES, corner_of, lane_of
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.ray_response import (
    RAY_PLANES,
    copy_tile,
    hit_where,
    load_rays,
    meet,
    middles_of,
    room_of_tiles,
)
from sfumato.ops.cpu.splats import list_blocks
from sfumato.ops.cpu.trace_hits import (
    ALPHA,
    HIGH,
    LOW,
    OWN,
    SHARE,
    SLOT,
    TAU,
    WEIGHT,
    look_ahead,
    room_of_entries,
    seen,
    walk,
)
from sfumato.ops.cpu.trace_records import CHANNELS, X, Y, Z

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
# Planes of a block that the gradient reads, and where it leaves what goes to the rays.
_TO_ALPHA, _TO_DISTANCE, _REMAINING, _OUTPUT, _TO_CHANNELS = 0, LANES, 2 * LANES, 3 * LANES, 4 * LANES
_DIRECTION, _ORIGIN = 0, 3 * LANES
# Numbers of an entry's rows, with OWN and SHARE.
HIT_ROWS = 5 * LANES


@lane_function
def _load_block(planes, at, source, k, x0, y0):
    """Copy channel ``k`` of ``source`` [h, w, d] under a block to ``planes`` from ``at``."""
    height, width = source.shape[:2]
    for row in range(BLOCK_HEIGHT):
        for column in range(BLOCK_WIDTH):
            inside = y0 + row < height and x0 + column < width
            planes[at + lane_of(row, column)] = source[y0 + row, x0 + column, k] if inside else _ZERO


@lane_function
def _load_outputs(deep, planes, outputs, background, pulls, x0, y0):
    """Fill the planes of a block.

    ``outputs`` are image [h, w, d], alpha and distance [h, w, 1], ``pulls`` their gradients.
    What is left to see is each output times its gradient, without the background's share: that counts as
    what alpha takes away.
    """
    image, alpha, distance = outputs
    to_image, to_alpha, to_distance = pulls
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


@lane_function
def _take_from_world(target, at, flat, record, x, y, z):
    """Take X x + Y y + Z z, a gradient in the unit ball's frame, off three planes of world axes."""
    for k in range(3):
        value = x * flat[record + X + k] + y * flat[record + Y + k] + z * flat[record + Z + k]
        ln.store(target, at + k * LANES, ln.load(LANES, target, at + k * LANES) - value)


@lane_function
def _worth(deep, grads, planes, colours, at, tau):
    """What the outputs' gradients make of a weight, of a Gaussian whose channels begin at ``at``."""
    value = bundles.dot_row(grads, colours, at) + ln.load(LANES, planes, _TO_ALPHA)
    if len(deep) > 0:
        value = value + ln.load(LANES, planes, _TO_DISTANCE) * tau
    return value


@lane_function
def _pull(own, behind, alpha, live):
    """-dL/dsigma, from the weight times its worth and the same of all behind."""
    # A clamped alpha does not move with its Gaussian.
    return ln.select(live & (alpha < ALPHA_MAX), own - behind * (alpha / (_ONE - alpha)), _ZERO)


@lane_function
def _pair_sums(deep, turning, absolute, to_rays, planes, grads, flat, at, met, weight, pull):
    """Bundle of the sums that the rays of a block add to those of a pair."""
    # With h = dL/dtau / |u|^2, dL/do = -pull y - h u and dL/du = tau dL/do - h y.
    px, py, pz = pull * met.yx, pull * met.yy, pull * met.yz
    fx, fy, fz, hx, hy, hz = px, py, pz, px * _ZERO, py * _ZERO, pz * _ZERO
    nxx, nxy, nxz = met.yx * px, met.yx * py, met.yx * pz
    nyy, nyz, nzz = met.yy * py, met.yy * pz, met.yz * pz
    if len(deep) > 0:
        ux, uy, uz = met.ux, met.uy, met.uz
        h = ln.load(LANES, planes, _TO_DISTANCE) * weight * met.inverse
        hx, hy, hz = h * met.yx, h * met.yy, h * met.yz
        fx, fy, fz = px + h * ux, py + h * uy, pz + h * uz
        nxx, nxy, nxz = nxx + ux * hx * _TWO, nxy + (ux * hy + uy * hx), nxz + (ux * hz + uz * hx)
        nyy, nyz, nzz = nyy + uy * hy * _TWO, nyz + (uy * hz + uz * hy), nzz + uz * hz * _TWO
    found = bundles.gather6(nxx, nxy, nxz, nyy, nyz, nzz)
    if len(turning) > 0:
        tau = met.tau
        _take_from_world(to_rays, _DIRECTION, flat, at, fx * tau + hx, fy * tau + hy, fz * tau + hz)
        _take_from_world(to_rays, _ORIGIN, flat, at, fx, fy, fz)
    found = bundles.join(bundles.join(bundles.gather2(fx, fy), bundles.gather2(fz, pull)), found)
    found = bundles.join(found, bundles.scaled(grads, weight))
    if len(absolute) > 0:
        steep = _ZERO * px
        for k in range(3):
            slope = px * flat[at + X + k] + py * flat[at + Y + k] + pz * flat[at + Z + k]
            steep = steep + slope * slope
        found = bundles.join(found, bundles.gather1(ln.square_root(steep)))
    return found


@lane_function
def _add_in_one_order(
    moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, stride, fine, middle, limits,
    some, names, sums, row,
):  # fmt: skip
    """Add the sums of a block whose rays share one order; a pair's begin at ``row`` times its place."""
    behind = ln.load(LANES, planes, _REMAINING)
    transmittance = ln.select(some, ln.spread(LANES, _ONE), -_ONE)
    for j in range(names.size):
        local = np.intp(names[j])
        at = local * stride
        met = meet(moving, rays, flat, at, fine, local, middle)
        hit = hit_where(met, flat, at, limits)
        alpha, weight, transmittance, live = blend(met.log2_alpha, hit, transmittance)
        own = weight * _worth(deep, grads, planes, flat, at + CHANNELS, met.tau)
        behind = behind - own
        pull = _pull(own, behind, alpha, live)
        found = _pair_sums(deep, turning, absolute, to_rays, planes, grads, flat, at, met, weight, pull)
        bundles.accumulate_totals(sums, local * row, found)
        if (j & 3) == 3 and not ln.any_true(transmittance > _ZERO):
            break


@lane_function
def _own(deep, grads, planes, flat, stride, walked, keys, who, hits):
    """Fill WEIGHT and OWN, the weight times its worth, of the walked entries."""
    for j in range(walked):
        n = keys[j] & SLOT
        at = n * HIT_ROWS
        weight, _, _, _ = seen(hits, at)
        tau = ln.load(LANES, hits, at + TAU)
        ln.store(hits, at + WEIGHT, weight)
        worth = _worth(deep, grads, planes, flat, np.intp(who[n]) * stride + CHANNELS, tau)
        ln.store(hits, at + OWN, weight * worth)


@lane_function
def _share(walked, keys, hits, spans, window, ends):
    """Fill SHARE of the walked entries: the sum of OWN up to their hits, in the order of each ray."""
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
def _add_in_their_orders(
    moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, stride, fine, middle, limits,
    some, names, sums, row, room,
):  # fmt: skip
    """The same of a block whose rays have an order each; ``room`` is from room_of_entries."""
    hits, spans, _, who, keys, window, ends, _ = room
    walked = walk(moving, rays, flat, stride, fine, middle, limits, some, names, room, HIT_ROWS)
    _own(deep, grads, planes, flat, stride, walked, keys, who, hits)
    _share(walked, keys, hits, spans, window, ends)
    for j in range(walked):
        n = keys[j] & SLOT
        local, entry = np.intp(who[n]), n * HIT_ROWS
        met = meet(moving, rays, flat, local * stride, fine, local, middle)
        weight, alpha = ln.load(LANES, hits, entry + WEIGHT), ln.load(LANES, hits, entry + ALPHA)
        behind = ln.load(LANES, planes, _REMAINING) - ln.load(LANES, hits, entry + SHARE)
        pull = _pull(ln.load(LANES, hits, entry + OWN), behind, alpha, weight > _ZERO)
        found = _pair_sums(
            deep, turning, absolute, to_rays, planes, grads, flat, local * stride, met, weight, pull
        )
        bundles.accumulate_totals(sums, local * row, found)


@lane_kernel
def trace_backward(
    channels, moving, exact, deep, turning, absolute, records, fine,
    offsets, beginnings, middles, near, far, order, pair_rank, pair_mask, tile_starts,
    image, alpha, distance, background, grad_image, grad_alpha, grad_distance, sums, grad_rays,
):  # fmt: skip
    """Sums over rays of each (Gaussian, tile) pair that its gradients are made of.

    Args:
        channels, moving, exact, records, fine, offsets, beginnings, middles, near, far, order,
            pair_rank, tile_starts: as in trace_forward; pair_mask is its ``counted``.
        deep, turning, absolute: () or (0,), fixed at compile time: whether grad_distance counts, whether
            gradients to the rays are wanted, and whether the sum of |dL/dmean| is, as the last of the sums.
        image, alpha, distance: [h, w, d], [h, w, 1], [h, w, 1] from trace_forward; their gradients likewise.
        background: [d].
        sums: [p, at least 10 + d (+ 1)] float32 zeros; member i of the sums is added at column
            bundles.totals_position(i, count).
        grad_rays: [h, w, 6] to directions and origins, written, or empty.
    """
    height, width, d = grad_image.shape
    outputs, pulls = (image, alpha, distance), (grad_image, grad_alpha, grad_distance)
    stride, num_tiles = records.shape[1], tile_starts.size - 1
    row = sums.shape[1]
    strips = min(STRIPS, num_tiles)
    longest = np.max(tile_starts[1:] - tile_starts[:-1])
    for strip in prange(strips):
        nearby, near_fine, lists, counts, rays = room_of_tiles(longest, stride)
        flat, room = nearby.ravel(), room_of_entries(longest if len(exact) > 0 else 0, HIT_ROWS)
        to_rays = np.empty(RAY_PLANES, np.float32)
        planes = np.empty(_TO_CHANNELS + LANES * d, np.float32)
        for tile in range(strip, num_tiles, strips):
            start = tile_starts[tile]
            copy_tile(records, fine, order, pair_rank, start, tile_starts[tile + 1], nearby, near_fine)
            list_blocks(pair_mask, start, tile_starts[tile + 1], False, lists, counts)
            if len(exact) > 0:
                look_ahead(flat, stride, tile_starts[tile + 1] - start, room[-1])
            found = sums[start : tile_starts[tile + 1]].ravel()
            for block in range(BLOCKS):
                x0, y0 = corner_of(tile, block, width)
                if x0 >= width or y0 >= height or counts[block] == 0:
                    continue
                some = load_rays(moving, rays, offsets, beginnings, tile, block)
                middle, limits = middles_of(exact, middles, tile, block), (near, far)
                names = lists[block, : counts[block]]
                _load_outputs(deep, planes, outputs, background, pulls, x0, y0)
                grads = bundles.load_channels(LANES, channels, planes, _TO_CHANNELS)
                to_rays[:] = _ZERO
                if len(exact) > 0:
                    _add_in_their_orders(
                        moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, stride,
                        near_fine, middle, limits, some, names, found, row, room,
                    )  # fmt: skip
                else:
                    _add_in_one_order(
                        moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, stride,
                        near_fine, middle, limits, some, names, found, row,
                    )  # fmt: skip
                if len(turning) > 0:
                    for line in range(min(BLOCK_HEIGHT, height - y0)):
                        for column in range(min(BLOCK_WIDTH, width - x0)):
                            for k in range(6):
                                value = to_rays[k * LANES + lane_of(line, column)]
                                grad_rays[y0 + line, x0 + column, k] = value
