"""Hits of the Gaussians of a tile, and what each ray of a block lets through to them.

A block of rays first meets all Gaussians of its list; each that is hit becomes an entry with a row of
distances and one of alphas. Entries are then walked in the order of their nearest hits. Two of them
may change places from ray to ray only while the nearest hit of the later is nearer than the farthest of
the earlier: as long as that is so the earlier waits, and the two are compared ray by ray. So every ray
blends in its own order, however many Gaussians overlap, and nothing moves. Long lists are met part by
part, and a block stops when nothing is left to see.
"""

import numpy as np

from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.blending import TRANSMITTANCE_STOP, alpha_of
from sfumato.ops.cpu.image_rays import LANES
from sfumato.ops.cpu.jit import lane_function
from sfumato.ops.cpu.ray_response import hit_where, meet
from sfumato.ops.cpu.trace_records import NEAREST

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_INFINITY = np.float32(np.inf)
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
def room_of_entries(longest, width):
    """Room for a block's entries, whose rows are ``width`` numbers.

    Returns:
        Rows, spans, the spans' bits, places in the tile, keys; of those that wait, where the rows begin and
        the farthest hits; what lies ahead of each Gaussian of the tile.
    """
    # One entry more than there can be: one that is not hit is written and then forgotten.
    hits, spans = np.empty((longest + 1) * width, np.float32), np.empty((longest + 1, 2), np.float32)
    keys, window = np.empty(longest, np.int64), np.empty(longest, np.int64)
    who, ends, ahead = (
        np.empty(longest + 1, np.int32),
        np.empty(longest, np.float32),
        np.empty(longest, np.float32),
    )
    return hits, spans, spans.view(np.int32), who, keys, window, ends, ahead


@lane_function
def look_ahead(flat, stride, count, ahead):
    """Fill ahead[local]: none of a tile's Gaussians from there on is hit nearer."""
    nearest = _INFINITY
    for local in range(count - 1, -1, -1):
        nearest = min(nearest, flat[local * stride + NEAREST])
        ahead[local] = nearest


@lane_function
def _meet(moving, rays, flat, stride, fine, middle, limits, some, names, hits, width, spans, who, count):
    """Let a block's rays meet the Gaussians ``names``; the number of entries afterwards."""
    for j in range(names.size):
        local = np.intp(names[j])
        met = meet(moving, rays, flat, local * stride, fine, local, middle)
        hit = hit_where(met, flat, local * stride, limits) & some
        ln.store(hits, count * width + TAU, ln.select(hit, met.tau, _ZERO))
        ln.store(hits, count * width + ALPHA, alpha_of(met.log2_alpha, hit))
        spans[count, LOW] = ln.least(ln.select(hit, met.tau, _INFINITY))
        spans[count, HIGH] = ln.greatest(ln.select(hit, met.tau, -_INFINITY))
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
def _blend(keys, first, count, bound, hits, width, spans, window, ends, waiting, through):
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
        if low > bound or not ln.any_true(through > TRANSMITTANCE_STOP):
            return j, waiting, through
        at = np.intp(n) * width
        tau, alpha = ln.load(LANES, hits, at + TAU), ln.load(LANES, hits, at + ALPHA)
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
def walk(moving, rays, flat, stride, fine, middle, limits, some, names, room, width):
    """Let a block's rays meet the Gaussians ``names`` and find what comes through to each hit.

    ``some`` tells where there are rays; ``room`` is from room_of_entries, for rows of ``width`` numbers.

    Returns:
        Number of entries that count; keys & SLOT names them, in the order of their nearest hits.
    """
    hits, spans, bits, who, keys, window, ends, ahead = room
    through = ln.select(some, ln.spread(LANES, _ONE), _ZERO)
    count, walked, waiting = 0, 0, 0
    for first in range(0, names.size, PART):
        part = names[first : first + PART]
        fresh = count
        count = _meet(
            moving, rays, flat, stride, fine, middle, limits, some, part, hits, width, spans, who, count
        )
        bound = ahead[names[first + PART]] if first + PART < names.size else _INFINITY
        _sort(spans, bits, keys, walked, count, fresh)
        walked, waiting, through = _blend(
            keys, walked, count, bound, hits, width, spans, window, ends, waiting, through
        )
        if not ln.any_true(through > TRANSMITTANCE_STOP):
            break
    return walked


@lane_function
def seen(hits, at):
    """(weight of the entry at ``at``, what it lets through, where that counts, where a ray comes to it)."""
    alpha, clear = ln.load(LANES, hits, at + ALPHA), ln.load(LANES, hits, at + CLEAR)
    weight = alpha * clear
    rest = clear - weight
    hit = alpha > _ZERO
    live = (rest > TRANSMITTANCE_STOP) & hit
    return ln.select(live, weight, _ZERO), rest, live, (clear > TRANSMITTANCE_STOP) & hit
