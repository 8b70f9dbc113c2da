"""Hits of the Gaussians of a tile, and the transmittance of each ray of a block before them.

A block of rays is intersected with all Gaussians of its list; each Gaussian that is hit becomes an entry with
a row of distances and a row of alphas. Entries are then visited in the order of their nearest hits. The order
of two entries can differ between rays only if the nearest hit of the later is nearer than the farthest of
the earlier: as long as this is possible, the earlier stays in a window and the two are compared ray by ray.
So every ray blends in its own order, however many Gaussians overlap, without moving rows. Long lists are
processed in parts, and a block stops once all its rays are opaque.
"""

from typing import Any, NamedTuple

import numpy as np

from sfumato.ops.cpu.image_trace.rays import BLOCKS, LANES
from sfumato.ops.cpu.image_trace.records import NEAREST
from sfumato.ops.cpu.image_trace.response import (
    RAY_PLANES,
    Nearby,
    copy_tile,
    empty_nearby,
    hit_where,
    intersect,
)
from sfumato.ops.cpu.jit import lane_function, lane_function_with_arrays
from sfumato.ops.cpu.raster.splats import list_blocks
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.blending import TRANSMITTANCE_STOP, alpha_of

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_INFINITY = np.float32(np.inf)
# Rows of an entry: distance, alpha, transmittance before it; the gradient stores the weight in the latter and
# needs two more rows.
TAU, ALPHA, CLEAR, OWN, SHARE = 0, LANES, 2 * LANES, 3 * LANES, 4 * LANES
WEIGHT = CLEAR
# Columns of an entry's span: nearest and farthest hit.
LOW, HIGH = 0, 1
# Gaussians intersected between two tests whether all rays are opaque.
PART = 256
SLOT = (1 << 32) - 1


class Entries(NamedTuple):
    """The Gaussians hit by a block of rays.

    Attributes:
        hits: rows of distances, alphas and so on, one entry after the other.
        spans: [longest + 1, 2] float32, nearest and farthest hit of each entry.
        bits: the spans, viewed as int32.
        members: [longest + 1] int32 index within the tile of each entry's Gaussian.
        keys: [longest] int64 sort keys; keys & SLOT are indices of entries.
        window: [longest] int64 start of the rows of each entry in the window.
        ends: [longest] float32 farthest hit of each entry in the window.
        ahead: [longest] float32 lower bound of the hits of each and all later Gaussians of the tile.
    """

    hits: np.ndarray
    spans: np.ndarray
    bits: np.ndarray
    members: np.ndarray
    keys: np.ndarray
    window: np.ndarray
    ends: np.ndarray
    ahead: np.ndarray


class TileBuffers(NamedTuple):
    """Buffers for a tile, reused for the next.

    Attributes:
        nearby: the Gaussians of the tile.
        entries: the Gaussians hit by a block of rays.
        lists, counts: [64, longest] int32 and [64] int64 candidates of each block, as indices within the
            tile.
        rays: [RAY_PLANES] float32 rays of a block.
    """

    nearby: Nearby
    entries: Entries
    lists: np.ndarray
    counts: np.ndarray
    rays: np.ndarray


@lane_function_with_arrays
def empty_buffers(exact, longest, stride, width):
    """Uninitialised TileBuffers for up to ``longest`` pairs with records of length ``stride``.

    ``exact`` is () or (0,), fixed at compile time: whether there are entries, with rows of ``width`` floats.
    """
    entries = empty_entries(longest if len(exact) > 0 else 0, width)
    lists, counts = np.empty((BLOCKS, longest), np.int32), np.empty(BLOCKS, np.int64)
    return TileBuffers(
        empty_nearby(longest, stride), entries, lists, counts, np.empty(RAY_PLANES, np.float32)
    )


@lane_function
def load_tile(exact, records, tiles, tile, buffers):
    """Copy a tile's Gaussians into contiguous memory, and list those of each block."""
    start, end = tiles.tile_starts[tile], tiles.tile_starts[tile + 1]
    copy_tile(records, tiles.order, tiles.pair_rank, start, end, buffers.nearby)
    list_blocks(tiles.pair_mask, start, end, False, buffers.lists, buffers.counts)
    if len(exact) > 0:
        look_ahead(buffers.nearby, end - start, buffers.entries.ahead)


@lane_function_with_arrays
def empty_entries(longest, width):
    """Uninitialised Entries for a tile with up to ``longest`` pairs, with rows of ``width`` floats."""
    # One extra entry, because misses are written, too, and then overwritten.
    hits, spans = np.empty((longest + 1) * width, np.float32), np.empty((longest + 1, 2), np.float32)
    keys, window = np.empty(longest, np.int64), np.empty(longest, np.int64)
    members, ends, ahead = (
        np.empty(longest + 1, np.int32),
        np.empty(longest, np.float32),
        np.empty(longest, np.float32),
    )
    return Entries(hits, spans, spans.view(np.int32), members, keys, window, ends, ahead)


@lane_function
def look_ahead(nearby, count, ahead):
    """Fill ``ahead``, see Entries."""
    nearest = _INFINITY
    for local in range(count - 1, -1, -1):
        nearest = min(nearest, nearby.flat[local * nearby.stride + NEAREST])
        ahead[local] = nearest


@lane_function
def _intersect(moving, block, nearby, limits, names, entries, width, count):
    """Intersect a block's rays with the Gaussians ``names``; returns the new number of entries."""
    hits, spans = entries.hits, entries.spans
    for j in range(names.size):
        local = ln.index(names[j])
        point = intersect(moving, block, nearby, local)
        hit = hit_where(point, nearby.flat, local * nearby.stride, limits) & block.some
        ln.store(hits, count * width + TAU, ln.select(hit, point.tau, _ZERO))
        ln.store(hits, count * width + ALPHA, alpha_of(point.log2_alpha, hit))
        spans[count, LOW] = ln.least(ln.select(hit, point.tau, _INFINITY))
        spans[count, HIGH] = ln.greatest(ln.select(hit, point.tau, -_INFINITY))
        entries.members[count] = local
        count += ln.any_true(hit)
    return count


@lane_function
def _sort(bits, keys, first, count, fresh):
    """Sort the entries keys[first:count] by their nearest hits; those from ``fresh`` on are new."""
    for j in range(fresh, count):
        # The bits of a float32, mapped so that they sort like the float, above the index of the entry.
        low = np.int64(bits[j, LOW])
        key = ((low ^ ((low >> 31) & 0x7FFFFFFF)) << 32) | j
        place = j
        while place > first and keys[place - 1] > key:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key


@lane_function
def _blend(entries, first, count, bound, width, waiting, through):
    """Fill CLEAR of the entries keys[first:count] with hits nearer than ``bound``.

    ``through`` is the transmittance of the entries that have left the window.

    Returns:
        (index of the next entry, number of entries in the window, through).
    """
    hits, spans, keys, window, ends = entries.hits, entries.spans, entries.keys, entries.window, entries.ends
    for j in range(first, count):
        # Unsigned indices avoid the check for negative indices.
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
def walk(moving, block, nearby, limits, entries, width):
    """Intersect a block's rays with their Gaussians and compute the transmittance before each hit.

    ``entries`` is from empty_entries, for rows of ``width`` floats.

    Returns:
        Number of relevant entries; keys & SLOT are their indices, in the order of their nearest hits.
    """
    names = block.names
    through = ln.select(block.some, ln.spread(LANES, _ONE), _ZERO)
    count, walked, waiting = 0, 0, 0
    for first in range(0, names.size, PART):
        part = names[first : first + PART]
        fresh = count
        count = _intersect(moving, block, nearby, limits, part, entries, width, count)
        bound = entries.ahead[names[first + PART]] if first + PART < names.size else _INFINITY
        _sort(entries.bits, entries.keys, walked, count, fresh)
        walked, waiting, through = _blend(entries, walked, count, bound, width, waiting, through)
        if not ln.any_true(through > TRANSMITTANCE_STOP):
            break
    return walked


class BlendedEntry(NamedTuple):
    """Blending of an entry along the rays of a block, in lanes.

    Attributes:
        weight: weight of its colour.
        rest: transmittance behind it.
        live: whether it is blended.
        reached: whether the ray reaches it.
    """

    weight: Any
    rest: Any
    live: Any
    reached: Any


@lane_function
def blended_entry(hits, at):
    """BlendedEntry of the entry whose rows begin at ``at``."""
    alpha, clear = ln.load(LANES, hits, at + ALPHA), ln.load(LANES, hits, at + CLEAR)
    weight = alpha * clear
    rest = clear - weight
    hit = alpha > _ZERO
    live = (rest > TRANSMITTANCE_STOP) & hit
    return BlendedEntry(ln.select(live, weight, _ZERO), rest, live, (clear > TRANSMITTANCE_STOP) & hit)
