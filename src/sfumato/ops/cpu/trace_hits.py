"""Hits of the Gaussians of a tile, and what each ray of a block lets through to them.

A block of 16 rays first meets all Gaussians of its list; each that is hit becomes an entry with a row of
distances and one of alphas. Entries are then walked in the order of their nearest hits. Two of them
may change places from ray to ray only while the nearest hit of the later is nearer than the farthest of
the earlier: as long as that is so the earlier waits, and the two are compared ray by ray. So every ray
blends in its own order, however many Gaussians overlap, and nothing moves. Long lists are met part by
part, and a block stops when nothing is left to see.
"""

import math

import numpy as np

from sfumato.ops import constants
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.image_rays import BLOCKS, LANES
from sfumato.ops.cpu.jit import lane_function
from sfumato.ops.cpu.trace_records import FINE, LOG2_OPACITY, NEAREST, W, X, Y, Z

ALPHA_MAX = np.float32(constants.ALPHA_MAX)
_LOG2_ALPHA_MIN = np.float32(math.log2(constants.ALPHA_MIN))
_TRANSMITTANCE_STOP = np.float32(constants.TRANSMITTANCE_STOP)
_HALF_LOG2_E = np.float32(0.5 * math.log2(math.e))
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_INFINITY = np.float32(np.inf)
# Planes of a block of rays: offsets of directions, then of origins where they differ.
_ORIGIN = 3 * LANES
RAY_PLANES = 6 * LANES
# Rows of an entry: distance, alpha, transmittance before it; the gradient puts the weight there and needs
# two more.
TAU, ALPHA, CLEAR, OWN, SHARE = 0, LANES, 2 * LANES, 3 * LANES, 4 * LANES
WEIGHT = CLEAR
# Columns of an entry's span: nearest and farthest hit.
LOW, HIGH = 0, 1
# Gaussians of a list that are met before it is seen whether anything still comes through.
PART = 256
SLOT = (1 << 32) - 1


@lane_function
def room_of_tiles(longest, stride):
    """Room for the records of a tile, its blocks' lists and their lengths, and what lies ahead of each pair.

    ``longest`` is the most pairs that a tile has, ``stride`` the length of a record.
    """
    nearby, near_fine = np.empty((longest, stride), np.float32), np.empty((longest, FINE), np.float64)
    lists, counts = np.empty((BLOCKS, longest), np.int32), np.empty(BLOCKS, np.int64)
    return nearby, near_fine, lists, counts, np.empty(longest, np.float32)


@lane_function
def room_of_entries(longest, width):
    """Room for a block's entries, whose rows are ``width`` numbers.

    Returns:
        Rows, spans, the spans' bits, places in the tile, keys; of those that wait, where the rows begin and
        the farthest hits.
    """
    # One entry more than there can be: one that is not hit is written and then forgotten.
    hits, spans = np.empty((longest + 1) * width, np.float32), np.empty((longest + 1, 2), np.float32)
    keys, window = np.empty(longest, np.int64), np.empty(longest, np.int64)
    who, ends = np.empty(longest + 1, np.int32), np.empty(longest, np.float32)
    return hits, spans, spans.view(np.int32), who, keys, window, ends


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
def list_blocks(pair_mask, start, end, flat, stride, lists, counts, ahead):
    """List the Gaussians of every block of a tile; ahead[local]: none from there on is hit nearer."""
    counts[:] = 0
    for local in range(end - start):
        mask = pair_mask[start + local]
        while mask:
            block = ln.trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            lists[block, counts[block]] = local
            counts[block] += 1
    nearest = _INFINITY
    for local in range(end - start - 1, -1, -1):
        nearest = min(nearest, flat[local * stride + NEAREST])
        ahead[local] = nearest


@lane_function
def load_rays(moving, rays, offsets, beginnings, tile, block):
    """Copy a block's rays; what they let through at first, nothing where there is none."""
    for k in range(3):
        for lane in range(LANES):
            value = offsets[tile, block, k, lane]
            rays[k * LANES + lane] = value if value < _INFINITY else _ZERO
            if len(moving) > 0:
                rays[_ORIGIN + k * LANES + lane] = beginnings[tile, block, k, lane]
    first = ln.load(LANES, offsets[tile, block].ravel(), 0)
    return ln.select(first < _INFINITY, ln.spread(LANES, _ONE), _ZERO)


@lane_function
def _meet(moving, rays, flat, stride, fine, middle, near, far, some, names, hits, width, spans, who, count):
    """Let a block's rays meet the Gaussians ``names``; the number of entries afterwards."""
    for j in range(names.size):
        local = np.intp(names[j])
        tau, log2_alpha = response(moving, rays, flat, local * stride, fine, local, middle)
        hit = (log2_alpha >= _LOG2_ALPHA_MIN) & (tau >= near) & (tau <= far) & some
        ln.store(hits, count * width + TAU, ln.select(hit, tau, _ZERO))
        alpha = ln.select(hit, ln.smaller(ln.exp2(log2_alpha), ALPHA_MAX), _ZERO)
        ln.store(hits, count * width + ALPHA, alpha)
        spans[count, LOW] = ln.least(ln.select(hit, tau, _INFINITY))
        spans[count, HIGH] = ln.greatest(ln.select(hit, tau, -_INFINITY))
        who[count] = local
        count += ln.any_true(hit)
    return count


@lane_function
def _sort(spans, bits, keys, first, count, fresh):
    """Sort the entries of keys[first:count] by their nearest hits; those from ``fresh`` on are new."""
    for j in range(fresh, count):
        # The bits of a float32, turned so that they rise with it, before the entry's slot.
        low = np.int64(bits[j, LOW])
        key = ((low ^ ((low >> 31) & 0x7FFFFFFF)) << 32) | j
        place = j
        while place > first and keys[place - 1] > key:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key


@lane_function
def _blend(exact, keys, first, count, bound, hits, width, spans, window, ends, waiting, through):
    """Fill CLEAR of the entries keys[first:count] that are hit nearer than ``bound``.

    ``through`` is what those let through that wait no longer; ``window`` and ``ends`` hold where the rows of
    those that wait begin, and their farthest hits.

    Returns:
        (where it ended, number that wait, through).
    """
    for j in range(first, count):
        # Unsigned indices need no thought about negative ones.
        n = np.uintp(keys[j] & SLOT)
        low = spans[n, LOW]
        if low > bound or not ln.any_true(through > _TRANSMITTANCE_STOP):
            return j, waiting, through
        at = np.intp(n) * width
        tau, alpha = ln.load(LANES, hits, at + TAU), ln.load(LANES, hits, at + ALPHA)
        if not exact:
            ln.store(hits, at + CLEAR, through)
            through = through - alpha * through
            continue
        clear, stay = through, np.uintp(0)
        for q in range(np.uintp(waiting)):
            other, high = window[q], ends[q]
            theirs = ln.load(LANES, hits, other + ALPHA)
            before = tau < ln.load(LANES, hits, other + TAU)
            clear = ln.select(before, clear, clear - theirs * clear)
            passing = ln.load(LANES, hits, other + CLEAR)
            ln.store(hits, other + CLEAR, ln.select(before, passing - alpha * passing, passing))
            goes = high <= low
            through = through - (theirs * (_ONE if goes else _ZERO)) * through
            window[stay], ends[stay] = other, high
            stay += np.uintp(not goes)
        ln.store(hits, at + CLEAR, clear)
        window[stay], ends[stay] = at, spans[n, HIGH]
        waiting = np.intp(stay) + 1
    return count, waiting, through


@lane_function
def walk(
    exact, moving, rays, flat, stride, fine, middle, near, far, through, names, ahead, room, width
):  # fmt: skip
    """Let a block's rays meet the Gaussians ``names`` and find what comes through to each hit.

    ``room`` is from room_of_entries, for rows of ``width`` numbers.

    Returns:
        Number of entries that count; keys & SLOT names them, in the order of their nearest hits.
    """
    hits, spans, bits, who, keys, window, ends = room
    some = through > _ZERO
    count, walked, waiting = 0, 0, 0
    for first in range(0, names.size, PART):
        part = names[first : first + PART]
        fresh = count
        count = _meet(
            moving, rays, flat, stride, fine, middle, near, far, some, part, hits, width, spans, who, count
        )
        more = first + PART < names.size
        bound = ahead[names[first + PART]] if exact and more else _INFINITY
        if exact:
            _sort(spans, bits, keys, walked, count, fresh)
        else:
            for n in range(fresh, count):
                keys[n] = n
        walked, waiting, through = _blend(
            exact, keys, walked, count, bound, hits, width, spans, window, ends, waiting, through
        )
        if not ln.any_true(through > _TRANSMITTANCE_STOP):
            break
    return walked


@lane_function
def seen(hits, at):
    """(weight of the entry at ``at``, what it lets through, where it counts)."""
    alpha, clear = ln.load(LANES, hits, at + ALPHA), ln.load(LANES, hits, at + CLEAR)
    weight = alpha * clear
    rest = clear - weight
    live = (rest > _TRANSMITTANCE_STOP) & (alpha > _ZERO)
    return ln.select(live, weight, _ZERO), rest, live
