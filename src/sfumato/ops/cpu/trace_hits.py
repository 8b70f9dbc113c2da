"""Hits of the Gaussians of a tile, in the order in which each ray of a block meets them.

A block of 16 rays meets its Gaussians in the order in which its middle ray does. Their hits, one
for each ray, enter a list of rows at the end and move forward, ray by ray, to where their distance
puts them; the first row is blended as soon as no Gaussian to come can have a nearer hit. So every
ray blends in its own order, however many Gaussians overlap, and a block still stops when nothing is
left to see.
"""

import math

import numpy as np

from sfumato.ops import constants
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.jit import lane_function
from sfumato.ops.cpu.trace_records import FINE, LOG2_OPACITY, NEAREST, W, X, Y, Z
from sfumato.ops.cpu.trace_tiles import BLOCKS, GROUP, LANES

ALPHA_MAX = np.float32(constants.ALPHA_MAX)
_LOG2_ALPHA_MIN = np.float32(math.log2(constants.ALPHA_MIN))
_TRANSMITTANCE_STOP = np.float32(constants.TRANSMITTANCE_STOP)
_HALF_LOG2_E = np.float32(0.5 * math.log2(math.e))
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_INFINITY = np.float32(np.inf)
# Bounds of distances give way by this factor, so that rounding never puts a hit before them.
_SLACK = np.float32(1.0 - 1e-5)
# Planes of a block of rays: offsets of directions, then of origins where they differ.
_ORIGIN = 3 * LANES
RAY_PLANES = 6 * LANES


@lane_function
def copy_tile(records, fine, order, pair_rank, start, end, nearby, nearby_fine):
    """Bring a tile's records side by side."""
    for local in range(end - start):
        i = order[pair_rank[start + local]]
        for k in range(records.shape[1]):
            nearby[local, k] = records[i, k]
        for k in range(FINE):
            nearby_fine[local, k] = fine[i, k]


@lane_function
def local_direction(rays, flat, at, fine, local, middle):
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
def local_origin(rays, flat, at):
    """Where the block's rays begin, in the frame of a unit ball."""
    ex, ey = ln.load(LANES, rays, _ORIGIN), ln.load(LANES, rays, _ORIGIN + LANES)
    ez = ln.load(LANES, rays, _ORIGIN + 2 * LANES)
    ox = ex * flat[at + X] + ey * flat[at + X + 1] + ez * flat[at + X + 2]
    oy = ex * flat[at + Y] + ey * flat[at + Y + 1] + ez * flat[at + Y + 2]
    oz = ex * flat[at + Z] + ey * flat[at + Z + 1] + ez * flat[at + Z + 2] - flat[at + W]
    return ox, oy, oz


@lane_function
def response(moving, rays, flat, at, fine, local, middle):
    """(tau, log2 of alpha before its clamp) of a block's rays for one Gaussian."""
    ux, uy, uz = local_direction(rays, flat, at, fine, local, middle)
    s = ux * ux + uy * uy
    along2 = s + uz * uz
    inverse = _ONE / along2
    if len(moving) == 0:
        w = flat[at + W]
        twice_sigma = s * inverse * (w * w)
        tau = uz * inverse * w
    else:
        ox, oy, oz = local_origin(rays, flat, at)
        cx, cy, cz = oy * uz - oz * uy, oz * ux - ox * uz, ox * uy - oy * ux
        twice_sigma = (cx * cx + cy * cy + cz * cz) * inverse
        tau = (ox * ux + oy * uy + oz * uz) * inverse * -_ONE
    return tau, twice_sigma * -_HALF_LOG2_E + flat[at + LOG2_OPACITY]


@lane_function
def meetings(flat, at, boxes, first, extent):
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
def list_blocks(exact, pair_mask, start, end, flat, stride, boxes, extent, lists, keys, bounds, counts):
    """List the Gaussians of every block of a tile with what ``meetings`` says of them."""
    counts[:] = 0
    row = boxes.ravel()
    taus, nearest = np.empty(BLOCKS, np.float32), np.empty(BLOCKS, np.float32)
    of_group = (np.uint64(1) << np.uint64(GROUP)) - np.uint64(1)
    for local in range(end - start):
        mask = pair_mask[start + local]
        for first in range(0, BLOCKS, GROUP):
            if exact and (mask >> np.uint64(first)) & of_group:
                tau, bound = meetings(flat, local * stride, row, first, extent)
                ln.store(taus, first, tau)
                ln.store(nearest, first, bound)
        while mask:
            block = ln.trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            at = counts[block]
            lists[block, at], keys[block, at], bounds[block, at] = local, taus[block], nearest[block]
            counts[block] = at + 1


@lane_function
def sort_block(exact, count, names, keys, bounds):
    """Sort a block's Gaussians by key; bounds[j] becomes what no hit from j on is nearer than."""
    if not exact:
        # Nothing is to wait for another.
        bounds[: count + 1] = _INFINITY
        return
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
def enter(exact, tau, alpha, who, turned, head, tail, new_tau, new_alpha, local):
    """Put a row of hits at the end and move each ray's forward to its place.

    A ray without a hit carries alpha 0 and the distance of its last hit, so that it stays. ``turned``
    marks rows whose rays do not all hold the Gaussian of ``who``'s first lane with a hit.
    """
    row, mixed = tail, False
    new_who = new_tau * _ZERO + np.float32(local)
    while exact and row > head:
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
def blend(alpha, transmittance):
    """(weight, new transmittance, live); a ray that has stopped has a negative one."""
    weight = alpha * transmittance
    rest = transmittance - weight
    live = rest > _TRANSMITTANCE_STOP
    transmittance = ln.select(live, rest, ln.negative_magnitude(transmittance))
    return ln.select(live, weight, _ZERO), transmittance, live


@lane_function
def load_rays(moving, rays, offsets, beginnings, tile, block):
    """Copy a block's rays; their first transmittance, stopped (negative) where there is none."""
    for k in range(3):
        for lane in range(LANES):
            value = offsets[tile, block, k, lane]
            rays[k * LANES + lane] = value if value == value else _ZERO
            if len(moving) > 0:
                rays[_ORIGIN + k * LANES + lane] = beginnings[tile, block, k, lane]
    first = ln.load(LANES, offsets[tile, block].ravel(), 0)
    return ln.select(first == first, first * _ZERO + _ONE, -_ONE)


@lane_function
def meet(
    moving, exact, rays, flat, at, fine, local, middle, near, far, transmittance, tau, alphas, who, turned,
    head, tail,
):  # fmt: skip
    """Let a block's rays meet the Gaussian of the record at ``at``; where its list of rows now ends."""
    distances, log2_alpha = response(moving, rays, flat, at, fine, local, middle)
    hit = (log2_alpha >= _LOG2_ALPHA_MIN) & (distances >= near) & (distances <= far)
    hit = hit & (transmittance > _ZERO)
    if not ln.any_true(hit):
        return tail
    alpha = ln.select(hit, ln.smaller(ln.exp2(log2_alpha), ALPHA_MAX), _ZERO)
    before = ln.load(LANES, tau, (tail - 1) * LANES) if tail > head else transmittance * _ZERO
    enter(exact, tau, alphas, who, turned, head, tail, ln.select(hit, distances, before), alpha, local)
    return tail + 1
