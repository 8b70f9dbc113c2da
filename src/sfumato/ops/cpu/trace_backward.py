"""The gradient of blending along rays: front to back once more, with the same decisions.

Nothing is stored per ray but the image (Deybach 2025, eq. 21). Sums over a tile's rays go to a row of
their own per (Gaussian, tile) pair and are gathered afterwards (see trace_records).
"""

import numpy as np
from numba import prange

from sfumato.ops.cpu import bundles
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.trace import STRIPS
from sfumato.ops.cpu.trace_hits import (
    ALPHA_MAX,
    RAY_PLANES,
    blend,
    copy_tile,
    list_blocks,
    load_rays,
    local_direction,
    local_origin,
    meet,
    sort_block,
)
from sfumato.ops.cpu.trace_records import CHANNELS, FINE, W, X, Y, Z
from sfumato.ops.cpu.trace_tiles import (
    BLOCK_COLUMNS,
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    BLOCKS,
    LANES,
    TILE_HEIGHT,
    TILE_WIDTH,
)

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
# Planes of a block that the gradient reads, and where it leaves what goes to the rays.
_TO_ALPHA, _TO_DISTANCE, _REMAINING, _TO_CHANNELS = 0, LANES, 2 * LANES, 3 * LANES
_DIRECTION, _ORIGIN = 0, 3 * LANES


@lane_function
def _load_block(planes, at, source, k, x0, y0):
    """Copy channel ``k`` of ``source`` [h, w, d] under a block to ``planes`` from ``at``."""
    height, width = source.shape[:2]
    for row in range(BLOCK_HEIGHT):
        for column in range(BLOCK_WIDTH):
            inside = y0 + row < height and x0 + column < width
            planes[at + row * BLOCK_WIDTH + column] = source[y0 + row, x0 + column, k] if inside else _ZERO


@lane_function
def _geometry(moving, rays, flat, at, fine, local, middle):
    """(u, y, tau, 1 / |u|^2) of a block's rays for one Gaussian; y is the hit in its unit ball's frame."""
    ux, uy, uz = local_direction(rays, flat, at, fine, local, middle)
    s = ux * ux + uy * uy
    inverse = _ONE / (s + uz * uz)
    if len(moving) == 0:
        w = flat[at + W]
        tau = uz * inverse * w
        return ux, uy, uz, tau * ux, tau * uy, s * inverse * -w, tau, inverse
    ox, oy, oz = local_origin(rays, flat, at)
    cx, cy, cz = oy * uz - oz * uy, oz * ux - ox * uz, ox * uy - oy * ux
    tau = (ox * ux + oy * uy + oz * uz) * inverse * -_ONE
    # y = u x (o x u) / |u|^2 is o + tau u without the difference of large numbers.
    yx, yy, yz = uy * cz - uz * cy, uz * cx - ux * cz, ux * cy - uy * cx
    return ux, uy, uz, yx * inverse, yy * inverse, yz * inverse, tau, inverse


@lane_function
def _take_from_world(target, at, flat, record, x, y, z):
    """Take X x + Y y + Z z, a gradient in the unit ball's frame, off three planes of world axes."""
    for k in range(3):
        value = x * flat[record + X + k] + y * flat[record + Y + k] + z * flat[record + Z + k]
        ln.store(target, at + k * LANES, ln.load(LANES, target, at + k * LANES) - value)


@lane_function
def _pair_sums(
    moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, at, fine, local, middle,
    weight, alpha, behind,
):  # fmt: skip
    """(bundle of the sums that one Gaussian's hits add, what is blended behind them).

    ``weight`` and ``alpha`` are 0 on rays that do not hit it here.
    """
    ux, uy, uz, yx, yy, yz, tau, inverse = _geometry(moving, rays, flat, at, fine, local, middle)
    value = bundles.dot_row(grads, flat, at + CHANNELS) + ln.load(LANES, planes, _TO_ALPHA)
    if deep:
        value = value + ln.load(LANES, planes, _TO_DISTANCE) * tau
    own = weight * value
    behind = behind - own
    pull = own - behind * (alpha / (_ONE - alpha))
    # A clamped alpha does not move with its Gaussian.
    pull = ln.select((alpha > _ZERO) & (alpha < ALPHA_MAX), pull, _ZERO)
    # dL/dsigma = -pull; with h = dL/dtau / |u|^2, dL/do = -pull y - h u and dL/du = tau dL/do - h y.
    px, py, pz = pull * yx, pull * yy, pull * yz
    fx, fy, fz, hx, hy, hz = px, py, pz, px * _ZERO, py * _ZERO, pz * _ZERO
    nxx, nxy, nxz, nyy, nyz, nzz = yx * px, yx * py, yx * pz, yy * py, yy * pz, yz * pz
    if deep:
        h = ln.load(LANES, planes, _TO_DISTANCE) * weight * inverse
        hx, hy, hz = h * yx, h * yy, h * yz
        fx, fy, fz = px + h * ux, py + h * uy, pz + h * uz
        nxx, nxy, nxz = nxx + ux * hx * _TWO, nxy + (ux * hy + uy * hx), nxz + (ux * hz + uz * hx)
        nyy, nyz, nzz = nyy + uy * hy * _TWO, nyz + (uy * hz + uz * hy), nzz + uz * hz * _TWO
    found = bundles.gather6(nxx, nxy, nxz, nyy, nyz, nzz)
    if turning:
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
    return found, behind


@lane_function
def _add_row(
    moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, stride, fine, middle,
    who, is_mixed, row, weight, alpha, behind, sums, first_pair, sums_row,
):  # fmt: skip
    """Add the sums of a row's hits, Gaussian by Gaussian; what is blended behind them."""
    names = ln.load(LANES, who, row * LANES)
    left = ln.bits_of(alpha > _ZERO)
    while left:
        name = who[row * LANES + ln.trailing_zeros(left)]
        same = names == name
        if not is_mixed:
            same = alpha >= _ZERO
        left &= ~ln.bits_of(same)
        local = np.intp(name)
        found, behind = _pair_sums(
            moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, local * stride, fine, local,
            middle, ln.select(same, weight, _ZERO), ln.select(same, alpha, _ZERO), behind,
        )  # fmt: skip
        bundles.accumulate_totals(sums, (first_pair + local) * sums_row, found)
    return behind


@lane_kernel
def trace_backward(
    channels, moving, exact, deep, turning, absolute, records, fine,
    offsets, beginnings, middles, boxes, extent, near, far, order, pair_rank, pair_mask, tile_starts,
    remaining, grad_image, grad_alpha, grad_distance, sums, grad_rays,
):  # fmt: skip
    """Sums over rays of each (Gaussian, tile) pair that its gradients are made of.

    Args:
        channels, moving, exact, records, fine, offsets, beginnings, middles, boxes, extent, near, far, order,
            pair_rank, pair_mask, tile_starts: as in trace_forward.
        deep: whether grad_distance counts.
        turning: whether gradients to the rays are wanted.
        absolute: () or (0,), fixed at compile time: whether the sum of |dL/dmean| is wanted, as the last
            of the sums.
        remaining: [h, w, 1] sum of each output times its gradient, without the background's share.
        grad_image, grad_alpha, grad_distance: [h, w, d], [h, w, 1], [h, w, 1].
        sums: [p, at least 10 + d (+ 1)] float32 zeros; member i of the sums is added at column
            bundles.totals_position(i, count).
        grad_rays: [h, w, 6] to directions and origins, written, or empty.
    """
    height, width, d = grad_image.shape
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    stride, num_tiles = records.shape[1], tile_starts.size - 1
    flat_sums, sums_row = sums.ravel(), sums.shape[1]
    strips = min(STRIPS, num_tiles)
    longest = np.max(tile_starts[1:] - tile_starts[:-1])
    for strip in prange(strips):
        lists, counts = np.empty((BLOCKS, longest), np.int32), np.empty(BLOCKS, np.int64)
        keys, bounds = np.empty((BLOCKS, longest), np.float32), np.empty((BLOCKS, longest + 1), np.float32)
        nearby, near_fine = np.empty((longest, stride), np.float32), np.empty((longest, FINE), np.float64)
        flat = nearby.ravel()
        rays, to_rays = np.empty(RAY_PLANES, np.float32), np.empty(RAY_PLANES, np.float32)
        planes = np.empty(LANES * (d + 3), np.float32)
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
                if x0 >= width or y0 >= height or counts[block] == 0:
                    continue
                transmittance = load_rays(moving, rays, offsets, beginnings, tile, block)
                middle = middles[tile, block]
                for k in range(d):
                    _load_block(planes, _TO_CHANNELS + LANES * k, grad_image, k, x0, y0)
                _load_block(planes, _TO_ALPHA, grad_alpha, 0, x0, y0)
                _load_block(planes, _TO_DISTANCE, grad_distance, 0, x0, y0)
                _load_block(planes, _REMAINING, remaining, 0, x0, y0)
                grads = bundles.load_channels(LANES, channels, planes, _TO_CHANNELS)
                behind = ln.load(LANES, planes, _REMAINING)
                to_rays[:] = _ZERO
                sort_block(exact, counts[block], lists[block], keys[block], bounds[block])
                head, tail = 0, 0
                for j in range(counts[block] + 1):
                    last, bound = j == counts[block], bounds[block, j]
                    local = np.intp(lists[block, j]) if not last else 0
                    while head < tail:
                        if ln.any_true(ln.load(LANES, tau, head * LANES) > bound):
                            break
                        alpha = ln.load(LANES, alphas, head * LANES)
                        weight, transmittance, live = blend(alpha, transmittance)
                        behind = _add_row(
                            moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, stride,
                            near_fine, middle, who, turned[head], head, weight, ln.select(live, alpha, _ZERO),
                            behind, flat_sums, start, sums_row,
                        )  # fmt: skip
                        head += 1
                    if last or not ln.any_true(transmittance > _ZERO):
                        break
                    if head == tail:
                        head, tail = 0, 0
                    tail = meet(
                        moving, exact, rays, flat, local * stride, near_fine, local, middle, near, far,
                        transmittance, tau, alphas, who, turned, head, tail,
                    )  # fmt: skip
                if turning:
                    for row in range(min(BLOCK_HEIGHT, height - y0)):
                        for column in range(min(BLOCK_WIDTH, width - x0)):
                            for k in range(6):
                                value = to_rays[k * LANES + row * BLOCK_WIDTH + column]
                                grad_rays[y0 + row, x0 + column, k] = value
