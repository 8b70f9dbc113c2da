"""Front-to-back blending along rays, each ray in the exact order of its own hits, and its gradient.

A block of 16 rays meets its Gaussians in the order in which its middle ray does. Their hits, one
for each ray, enter a list of rows at the end and move forward, ray by ray, to where their distance
puts them; the first row is blended as soon as no Gaussian to come can have a nearer hit.
So every ray blends in its own order, however many Gaussians overlap, and a block still stops when
nothing is left to see. The gradient repeats the same decisions, front to back (Deybach 2025,
eq. 21), so nothing is stored per ray but the image.
"""

import math

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu import bundles
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.trace_records import CHANNELS, FINE, LOG2_OPACITY, NEAREST, W, X, Y, Z
from sfumato.ops.cpu.trace_tiles import (
    BLOCK_COLUMNS,
    BLOCK_HEIGHT,
    BLOCK_WIDTH,
    BLOCKS,
    GROUP,
    LANES,
    TILE_HEIGHT,
    TILE_WIDTH,
)

_ALPHA_MAX = np.float32(constants.ALPHA_MAX)
_LOG2_ALPHA_MIN = np.float32(math.log2(constants.ALPHA_MIN))
_TRANSMITTANCE_STOP = np.float32(constants.TRANSMITTANCE_STOP)
_HALF_LOG2_E = np.float32(0.5 * math.log2(math.e))
_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_INFINITY = np.float32(np.inf)
# Bounds of distances give way by this factor, so that rounding never puts a hit before them.
_SLACK = np.float32(1.0 - 1e-5)

# Tiles are dealt to this many tasks in turn, so that busy regions spread over the threads.
_STRIPS = 64
# Planes of a block of rays: offsets of directions, then of origins where they differ.
_DIRECTION, _ORIGIN = 0, 3 * LANES
# Planes of a block that the gradient reads.
_TO_ALPHA, _TO_DISTANCE, _REMAINING, _TO_CHANNELS = 0, LANES, 2 * LANES, 3 * LANES


@lane_function
def _copy_tile(records, fine, order, pair_rank, start, end, nearby, nearby_fine):
    """Bring a tile's records side by side."""
    for local in range(end - start):
        i = order[pair_rank[start + local]]
        for k in range(records.shape[1]):
            nearby[local, k] = records[i, k]
        for k in range(FINE):
            nearby_fine[local, k] = fine[i, k]


@lane_function
def _local_direction(rays, flat, at, fine, local, middle):
    """The block's directions in the frame of a unit ball: ux, uy, uz."""
    dx, dy, dz = ln.load(LANES, rays, 0), ln.load(LANES, rays, LANES), ln.load(LANES, rays, 2 * LANES)
    # X and Y vanish on the mean's direction: float64 keeps what is left of them there.
    x = np.float32(fine[local, 0] * middle[0] + fine[local, 1] * middle[1] + fine[local, 2] * middle[2])
    y = np.float32(fine[local, 3] * middle[0] + fine[local, 4] * middle[1] + fine[local, 5] * middle[2])
    z = np.float32(flat[at + Z] * middle[0] + flat[at + Z + 1] * middle[1] + flat[at + Z + 2] * middle[2])
    ux = dx * flat[at + X] + dy * flat[at + X + 1] + dz * flat[at + X + 2] + x
    uy = dx * flat[at + Y] + dy * flat[at + Y + 1] + dz * flat[at + Y + 2] + y
    uz = dx * flat[at + Z] + dy * flat[at + Z + 1] + dz * flat[at + Z + 2] + z
    return ux, uy, uz


@lane_function
def _local_origin(rays, flat, at):
    """Where the block's rays begin, in the frame of a unit ball."""
    ex, ey = ln.load(LANES, rays, _ORIGIN), ln.load(LANES, rays, _ORIGIN + LANES)
    ez = ln.load(LANES, rays, _ORIGIN + 2 * LANES)
    ox = ex * flat[at + X] + ey * flat[at + X + 1] + ez * flat[at + X + 2]
    oy = ex * flat[at + Y] + ey * flat[at + Y + 1] + ez * flat[at + Y + 2]
    oz = ex * flat[at + Z] + ey * flat[at + Z + 1] + ez * flat[at + Z + 2] - flat[at + W]
    return ox, oy, oz


@lane_function
def _response(moving, rays, flat, at, fine, local, middle):
    """(tau, log2 of alpha before its clamp) of a block's rays for one Gaussian."""
    ux, uy, uz = _local_direction(rays, flat, at, fine, local, middle)
    s = ux * ux + uy * uy
    along2 = s + uz * uz
    inverse = _ONE / along2
    if len(moving) == 0:
        w = flat[at + W]
        twice_sigma = s * inverse * (w * w)
        tau = uz * inverse * w
    else:
        ox, oy, oz = _local_origin(rays, flat, at)
        cx, cy, cz = oy * uz - oz * uy, oz * ux - ox * uz, ox * uy - oy * ux
        twice_sigma = (cx * cx + cy * cy + cz * cz) * inverse
        tau = (ox * ux + oy * uy + oz * uz) * inverse * -_ONE
    return tau, twice_sigma * -_HALF_LOG2_E + flat[at + LOG2_OPACITY]


@lane_function
def _meetings(flat, at, boxes, first, extent):
    """(tau of the middle ray, no hit is nearer) of 16 blocks from ``first`` for one Gaussian."""
    zero = ln.spread(GROUP, _ZERO)
    x, y, z, half_x, half_y, half_z = zero, zero, zero, zero, zero, zero
    shift_x, shift_y, shift_z = _ZERO, _ZERO, _ZERO
    for k in range(3):
        middle = ln.load(GROUP, boxes, first + k * BLOCKS)
        half = ln.load(GROUP, boxes, first + (3 + k) * BLOCKS)
        row_x, row_y, row_z = flat[at + X + k], flat[at + Y + k], flat[at + Z + k]
        x, y, z = x + middle * row_x, y + middle * row_y, z + middle * row_z
        half_x, half_y, half_z = (
            half_x + half * abs(row_x),
            half_y + half * abs(row_y),
            half_z + half * abs(row_z),
        )
        shift_x, shift_y = shift_x + abs(row_x) * extent[k], shift_y + abs(row_y) * extent[k]
        shift_z = shift_z + abs(row_z) * extent[k]
    w = flat[at + W]
    tau = z / (x * x + y * y + z * z) * w
    # tau = w uz / (s + uz^2), and tau = -(o . u) / |u|^2 with the shifts of o where rays begin elsewhere.
    far_x, far_y = ln.magnitude(x) + half_x, ln.magnitude(y) + half_y
    s, least = far_x * far_x + far_y * far_y, z - half_z
    square = least * least
    bound = square / ((z + half_z) * (s + square)) * (w - shift_z)
    bound = (bound - (far_x * shift_x + far_y * shift_y) / square) * _SLACK
    return tau, ln.select(least > _ZERO, ln.larger(bound, flat[at + NEAREST]), flat[at + NEAREST])


@lane_function
def _list_blocks(pair_mask, start, end, flat, stride, boxes, extent, lists, keys, bounds, counts):
    """List the Gaussians of every block of a tile with what ``_meetings`` says of them."""
    counts[:] = 0
    row = boxes.ravel()
    taus, nearest = np.empty(BLOCKS, np.float32), np.empty(BLOCKS, np.float32)
    of_group = (np.uint64(1) << np.uint64(GROUP)) - np.uint64(1)
    for local in range(end - start):
        mask = pair_mask[start + local]
        for first in range(0, BLOCKS, GROUP):
            if (mask >> np.uint64(first)) & of_group:
                tau, bound = _meetings(flat, local * stride, row, first, extent)
                ln.store(taus, first, tau)
                ln.store(nearest, first, bound)
        while mask:
            block = ln.trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            at = counts[block]
            lists[block, at], keys[block, at], bounds[block, at] = local, taus[block], nearest[block]
            counts[block] = at + 1


@lane_function
def _sort_block(count, names, keys, bounds):
    """Sort a block's Gaussians by key; bounds[j] becomes what no hit from j on is nearer than."""
    for j in range(1, count):
        key, bound, name = keys[j], bounds[j], names[j]
        place = j
        while place > 0 and keys[place - 1] > key:
            keys[place], bounds[place], names[place] = keys[place - 1], bounds[place - 1], names[place - 1]
            place -= 1
        keys[place], bounds[place], names[place] = key, bound, name
    bounds[count] = _INFINITY
    for j in range(count - 1, -1, -1):
        bounds[j] = min(bounds[j], bounds[j + 1])


@lane_function
def _enter(tau, alpha, who, turned, head, tail, new_tau, new_alpha, local):
    """Put a row of hits at the end and move each ray's forward to its place.

    A ray without a hit carries alpha 0 and the distance of its last hit, so that it stays. ``turned`` marks rows
    whose rays do not all hold the Gaussian of ``who``'s first lane with a hit.
    """
    row, mixed = tail, False
    new_who = new_tau * _ZERO + np.float32(local)
    while row > head:
        at = (row - 1) * LANES
        old_tau = ln.load(LANES, tau, at)
        moves = new_tau < old_tau
        if not ln.any_true(moves):
            break
        old_alpha, old_who = ln.load(LANES, alpha, at), ln.load(LANES, who, at)
        # A row changes its Gaussian as a whole if nothing that can be seen stays behind.
        seen = ln.larger(old_alpha, new_alpha)
        whole = not ln.any_true(ln.select(moves, _ZERO, seen) > _ZERO)
        ln.store(tau, row * LANES, ln.select(moves, old_tau, new_tau))
        ln.store(alpha, row * LANES, ln.select(moves, old_alpha, new_alpha))
        ln.store(who, row * LANES, ln.select(moves, old_who, new_who))
        turned[row] = turned[row - 1] if whole else True
        mixed = mixed or not whole
        new_tau = ln.select(moves, new_tau, old_tau)
        new_alpha = ln.select(moves, new_alpha, old_alpha)
        new_who = ln.select(moves, new_who, old_who)
        row -= 1
    ln.store(tau, row * LANES, new_tau)
    ln.store(alpha, row * LANES, new_alpha)
    ln.store(who, row * LANES, new_who)
    turned[row] = mixed


@lane_function
def _blend(alpha, transmittance):
    """(weight, new transmittance, live); a ray that has stopped has a negative one."""
    weight = alpha * transmittance
    rest = transmittance - weight
    live = rest > _TRANSMITTANCE_STOP
    transmittance = ln.select(live, rest, ln.negative_magnitude(transmittance))
    return ln.select(live, weight, _ZERO), transmittance, live


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
    channels, moving, records, fine, background, offsets, beginnings, middles, boxes, extent, near, far,
    order, pair_rank, pair_mask, tile_starts, image, alpha, distance,
):  # fmt: skip
    """Blend every tile.

    Args:
        channels: tuple whose length is d, fixed at compile time.
        moving: () or (0,): whether rays begin in different points.
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
    strips = min(_STRIPS, num_tiles)
    longest = np.max(tile_starts[1:] - tile_starts[:-1])
    for strip in prange(strips):
        lists, counts = np.empty((BLOCKS, longest), np.int32), np.empty(BLOCKS, np.int64)
        keys, bounds = np.empty((BLOCKS, longest), np.float32), np.empty((BLOCKS, longest + 1), np.float32)
        nearby, near_fine = np.empty((longest, stride), np.float32), np.empty((longest, FINE), np.float64)
        flat = nearby.ravel()
        rays = np.empty(6 * LANES, np.float32)
        planes = np.empty(LANES * (d + 2), np.float32)
        tau, alphas = np.empty((longest + 1) * LANES, np.float32), np.empty((longest + 1) * LANES, np.float32)
        who, turned = np.empty((longest + 1) * LANES, np.float32), np.empty(longest + 1, np.bool_)
        for tile in range(strip, num_tiles, strips):
            start = tile_starts[tile]
            _copy_tile(records, fine, order, pair_rank, start, tile_starts[tile + 1], nearby, near_fine)
            _list_blocks(
                pair_mask,
                start,
                tile_starts[tile + 1],
                flat,
                stride,
                boxes[tile],
                extent,
                lists,
                keys,
                bounds,
                counts,
            )
            for block in range(BLOCKS):
                x0 = (tile % tiles_x) * TILE_WIDTH + (block % BLOCK_COLUMNS) * BLOCK_WIDTH
                y0 = (tile // tiles_x) * TILE_HEIGHT + (block // BLOCK_COLUMNS) * BLOCK_HEIGHT
                if x0 >= width or y0 >= height:
                    continue
                transmittance = _load_rays(moving, rays, offsets, beginnings, tile, block)
                middle = middles[tile, block]
                colour = bundles.zeros_like_channels(LANES, channels)
                travelled = transmittance * _ZERO
                _sort_block(counts[block], lists[block], keys[block], bounds[block])
                head, tail = 0, 0
                for j in range(counts[block] + 1):
                    last, bound = j == counts[block], bounds[block, j]
                    local = np.intp(lists[block, j]) if not last else 0
                    at = local * stride
                    while head < tail:
                        distances = ln.load(LANES, tau, head * LANES)
                        if ln.any_true(distances > bound):
                            break
                        weight, transmittance, _ = _blend(ln.load(LANES, alphas, head * LANES), transmittance)
                        travelled = travelled + weight * distances
                        colour = _add_row(colour, weight, who, turned, head, flat, stride)
                        head += 1
                    if last or not ln.any_true(transmittance > _ZERO):
                        break
                    if head == tail:
                        head, tail = 0, 0
                    distances, log2_alpha = _response(moving, rays, flat, at, near_fine, local, middle)
                    hit = (log2_alpha >= _LOG2_ALPHA_MIN) & (distances >= near) & (distances <= far)
                    hit = hit & (transmittance > _ZERO)
                    if not ln.any_true(hit):
                        continue
                    held = ln.smaller(ln.exp2(log2_alpha), _ALPHA_MAX)
                    before = ln.load(LANES, tau, (tail - 1) * LANES) if tail > head else transmittance * _ZERO
                    _enter(
                        tau, alphas, who, turned, head, tail,
                        ln.select(hit, distances, before), ln.select(hit, held, _ZERO), local,
                    )  # fmt: skip
                    tail += 1
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


@lane_function
def _load_rays(moving, rays, offsets, beginnings, tile, block):
    """Copy a block's rays into ``rays``; their first transmittance, stopped (negative) where there is none."""
    for k in range(3):
        for lane in range(LANES):
            value = offsets[tile, block, k, lane]
            rays[k * LANES + lane] = value if value == value else _ZERO
            if len(moving) > 0:
                rays[_ORIGIN + k * LANES + lane] = beginnings[tile, block, k, lane]
    first = ln.load(LANES, offsets[tile, block].ravel(), 0)
    return ln.select(first == first, first * _ZERO + _ONE, -_ONE)


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
    """(u, y, tau, 1 / |u|^2) of a block's rays for one Gaussian: y is where the hit is, in its unit ball's frame."""
    ux, uy, uz = _local_direction(rays, flat, at, fine, local, middle)
    s = ux * ux + uy * uy
    inverse = _ONE / (s + uz * uz)
    if len(moving) == 0:
        w = flat[at + W]
        tau = uz * inverse * w
        return ux, uy, uz, tau * ux, tau * uy, s * inverse * -w, tau, inverse
    ox, oy, oz = _local_origin(rays, flat, at)
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
    moving,
    deep,
    turning,
    absolute,
    rays,
    to_rays,
    planes,
    grads,
    flat,
    at,
    fine,
    local,
    middle,
    weight,
    alpha,
    behind,
):
    """(bundle of the sums that one Gaussian's hits add, what is blended behind them).

    ``weight`` and ``alpha`` are 0 on rays that do not hit it here.
    """
    ux, uy, uz, yx, yy, yz, tau, inverse = _geometry(moving, rays, flat, at, fine, local, middle)
    value = bundles.dot_row(grads, flat, at + CHANNELS) + ln.load(LANES, planes, _TO_ALPHA)
    if len(deep) > 0:
        value = value + ln.load(LANES, planes, _TO_DISTANCE) * tau
    own = weight * value
    behind = behind - own
    pull = own - behind * (alpha / (_ONE - alpha))
    # A clamped alpha does not move with its Gaussian.
    pull = ln.select((alpha > _ZERO) & (alpha < _ALPHA_MAX), pull, _ZERO)
    # dL/dsigma = -pull; with h = dL/dtau / |u|^2, dL/do = -pull y - h u and dL/du = tau dL/do - h y.
    px, py, pz = pull * yx, pull * yy, pull * yz
    if len(deep) > 0:
        h = ln.load(LANES, planes, _TO_DISTANCE) * weight * inverse
        hx, hy, hz = h * yx, h * yy, h * yz
        found = bundles.gather6(
            yx * px + ux * hx * _TWO,
            yx * py + (ux * hy + uy * hx),
            yx * pz + (ux * hz + uz * hx),
            yy * py + uy * hy * _TWO,
            yy * pz + (uy * hz + uz * hy),
            yz * pz + uz * hz * _TWO,
        )
        fx, fy, fz = px + h * ux, py + h * uy, pz + h * uz
    else:
        found = bundles.gather6(yx * px, yx * py, yx * pz, yy * py, yy * pz, yz * pz)
        fx, fy, fz = px, py, pz
    if len(turning) > 0:
        tx, ty, tz = fx * tau, fy * tau, fz * tau
        if len(deep) > 0:
            tx, ty, tz = tx + hx, ty + hy, tz + hz
        _take_from_world(to_rays, _DIRECTION, flat, at, tx, ty, tz)
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


@lane_kernel
def trace_backward(
    channels, moving, deep, turning, absolute, records, fine, offsets, beginnings, middles, boxes, extent, near, far,
    order, pair_rank, pair_mask, tile_starts, remaining, grad_image, grad_alpha, grad_distance, sums, grad_rays,
):  # fmt: skip
    """Sums over rays of each (Gaussian, tile) pair that its gradients are made of.

    Args:
        channels to tile_starts: as in trace_forward.
        deep: () or (0,): whether grad_distance counts.
        turning: () or (0,): whether gradients to the rays are wanted.
        absolute: () or (0,): whether the sum of |dL/dmean| is wanted, as the last of the sums.
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
    strips = min(_STRIPS, num_tiles)
    longest = np.max(tile_starts[1:] - tile_starts[:-1])
    for strip in prange(strips):
        lists, counts = np.empty((BLOCKS, longest), np.int32), np.empty(BLOCKS, np.int64)
        keys, bounds = np.empty((BLOCKS, longest), np.float32), np.empty((BLOCKS, longest + 1), np.float32)
        nearby, near_fine = np.empty((longest, stride), np.float32), np.empty((longest, FINE), np.float64)
        flat = nearby.ravel()
        rays, to_rays = np.empty(6 * LANES, np.float32), np.empty(6 * LANES, np.float32)
        planes = np.empty(LANES * (d + 3), np.float32)
        tau, alphas = np.empty((longest + 1) * LANES, np.float32), np.empty((longest + 1) * LANES, np.float32)
        who, turned = np.empty((longest + 1) * LANES, np.float32), np.empty(longest + 1, np.bool_)
        for tile in range(strip, num_tiles, strips):
            start = tile_starts[tile]
            _copy_tile(records, fine, order, pair_rank, start, tile_starts[tile + 1], nearby, near_fine)
            _list_blocks(
                pair_mask,
                start,
                tile_starts[tile + 1],
                flat,
                stride,
                boxes[tile],
                extent,
                lists,
                keys,
                bounds,
                counts,
            )
            for block in range(BLOCKS):
                x0 = (tile % tiles_x) * TILE_WIDTH + (block % BLOCK_COLUMNS) * BLOCK_WIDTH
                y0 = (tile // tiles_x) * TILE_HEIGHT + (block // BLOCK_COLUMNS) * BLOCK_HEIGHT
                if x0 >= width or y0 >= height or counts[block] == 0:
                    continue
                transmittance = _load_rays(moving, rays, offsets, beginnings, tile, block)
                middle = middles[tile, block]
                for k in range(d):
                    _load_block(planes, _TO_CHANNELS + LANES * k, grad_image, k, x0, y0)
                _load_block(planes, _TO_ALPHA, grad_alpha, 0, x0, y0)
                _load_block(planes, _TO_DISTANCE, grad_distance, 0, x0, y0)
                _load_block(planes, _REMAINING, remaining, 0, x0, y0)
                grads = bundles.load_channels(LANES, channels, planes, _TO_CHANNELS)
                behind = ln.load(LANES, planes, _REMAINING)
                to_rays[:] = _ZERO
                _sort_block(counts[block], lists[block], keys[block], bounds[block])
                head, tail = 0, 0
                for j in range(counts[block] + 1):
                    last, bound = j == counts[block], bounds[block, j]
                    local = np.intp(lists[block, j]) if not last else 0
                    at = local * stride
                    while head < tail:
                        if ln.any_true(ln.load(LANES, tau, head * LANES) > bound):
                            break
                        alpha = ln.load(LANES, alphas, head * LANES)
                        weight, transmittance, live = _blend(alpha, transmittance)
                        alpha = ln.select(live, alpha, _ZERO)
                        left = ln.bits_of(alpha > _ZERO)
                        while left:
                            name = who[head * LANES + ln.trailing_zeros(left)]
                            there = np.intp(name)
                            same = ln.load(LANES, who, head * LANES) == name
                            if not turned[head]:
                                same = alpha >= _ZERO
                            left &= ~ln.bits_of(same)
                            mine, held = ln.select(same, weight, _ZERO), ln.select(same, alpha, _ZERO)
                            found, behind = _pair_sums(
                                moving, deep, turning, absolute, rays, to_rays, planes, grads, flat, there * stride, near_fine,
                                there, middle, mine, held, behind,
                            )  # fmt: skip
                            bundles.accumulate_totals(flat_sums, (start + there) * sums_row, found)
                        head += 1
                    if last or not ln.any_true(transmittance > _ZERO):
                        break
                    if head == tail:
                        head, tail = 0, 0
                    distances, log2_alpha = _response(moving, rays, flat, at, near_fine, local, middle)
                    hit = (log2_alpha >= _LOG2_ALPHA_MIN) & (distances >= near) & (distances <= far)
                    hit = hit & (transmittance > _ZERO)
                    if not ln.any_true(hit):
                        continue
                    held = ln.smaller(ln.exp2(log2_alpha), _ALPHA_MAX)
                    before = ln.load(LANES, tau, (tail - 1) * LANES) if tail > head else transmittance * _ZERO
                    _enter(
                        tau, alphas, who, turned, head, tail,
                        ln.select(hit, distances, before), ln.select(hit, held, _ZERO), local,
                    )  # fmt: skip
                    tail += 1
                if len(turning) > 0:
                    for row in range(min(BLOCK_HEIGHT, height - y0)):
                        for column in range(min(BLOCK_WIDTH, width - x0)):
                            for k in range(6):
                                value = to_rays[k * LANES + row * BLOCK_WIDTH + column]
                                grad_rays[y0 + row, x0 + column, k] = value
