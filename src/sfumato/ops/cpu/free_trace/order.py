"""Packing order of a hierarchy of boxes: 16 neighbours per leaf, 16 leaves per node, and so on.

Ranges of boxes are split from the top down, always at a whole number of subtrees, so that the tree
needs no pointers. Each is split along the axis that the surface area heuristic prefers: x, y or z of the
centre, or the size, which separates a few huge Gaussians from the small ones among them.
"""

import numpy as np
from numba import prange

from sfumato.ops.cpu.jit import lane_function, lane_function_with_arrays, lane_kernel, scalar
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.lane_search import GROUP

# Floats of a box: lowest x, y, z, then highest x, y, z negated, so that the minimum of two boxes is their
# union.
BOX = 8
_AXES, _SIZE_AXIS = 4, 3
_SAMPLE = 31
# Ranges are split level by level, all in parallel, until there are this many; then each is one task.
_TASKS = 256
_EMPTY = np.float32(np.inf)


@scalar
def _key(flat, j, axis):
    """Twice the centre along an axis, or the longest side."""
    at = j * BOX
    if axis < _SIZE_AXIS:
        return flat[at + axis] - flat[at + 3 + axis]
    return -min(flat[at] + flat[at + 3], flat[at + 1] + flat[at + 4], flat[at + 2] + flat[at + 5])


@scalar
def _area(box, at):
    """Half the surface area of a box; the probability that a ray hits it is proportional to this."""
    x, y, z = -(box[at] + box[at + 3]), -(box[at + 1] + box[at + 4]), -(box[at + 2] + box[at + 5])
    return np.float64(x) * y + np.float64(y) * z + np.float64(z) * x


@scalar
def middle_of(first, last):
    """Split position of a range: near the middle, after a whole number of subtrees."""
    capacity = GROUP
    while capacity * GROUP < last - first:
        capacity *= GROUP
    subtrees = (last - first + capacity - 1) // capacity
    return first + (subtrees + 1) // 2 * capacity


@lane_function
def _sampled_quantile(flat, first, last, middle, axis, sample):
    """Estimate of the key below which ``middle - first`` of the boxes lie, from a sample."""
    count = min(_SAMPLE, last - first)
    for s in range(count):
        key = _key(flat, first + s * (last - first) // count, axis)
        place = s
        while place > 0 and sample[place - 1] > key:
            sample[place] = sample[place - 1]
            place -= 1
        sample[place] = key
    return sample[min((middle - first) * count // (last - first), count - 1)]


@lane_function_with_arrays
def _best_axis(flat, first, last, middle, sample, halves):
    """The axis whose split has the least cost by the surface area heuristic."""
    for k in range(2 * _AXES):
        ln.store(halves, k * BOX, ln.spread(8, _EMPTY))
    pivots = np.empty(_AXES, np.float32)
    counts = np.zeros((_AXES, 2), np.int64)
    for axis in range(_AXES):
        pivots[axis] = _sampled_quantile(flat, first, last, middle, axis, sample)
    for j in range(first, last):
        box = ln.load(8, flat, j * BOX)
        for axis in range(_AXES):
            side = 1 if _key(flat, j, axis) >= pivots[axis] else 0
            at = (2 * axis + side) * BOX
            ln.store(halves, at, ln.smaller(ln.load(8, halves, at), box))
            counts[axis, side] += 1
    best, least_cost = 0, np.inf
    for axis in range(_AXES):
        cost = 0.0
        for side in range(2):
            if counts[axis, side] > 0:
                cost += counts[axis, side] * _area(halves, (2 * axis + side) * BOX)
        # A split must leave boxes on both sides.
        if cost < least_cost and counts[axis, 0] > 0 and counts[axis, 1] > 0:
            best, least_cost = axis, cost
    return best


@lane_function
def _swap(flat, ids, i, j):
    box = ln.load(8, flat, i * BOX)
    ln.store(flat, i * BOX, ln.load(8, flat, j * BOX))
    ln.store(flat, j * BOX, box)
    ids[i], ids[j] = ids[j], ids[i]


@lane_function
def _select(flat, ids, first, last, middle, axis):
    """Move boxes so that those before ``middle`` have keys no larger than those after (Hoare's find)."""
    low, high = first, last - 1
    while low < high:
        a, b, c = _key(flat, low, axis), _key(flat, (low + high) // 2, axis), _key(flat, high, axis)
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while _key(flat, i, axis) < pivot:
                i += 1
            while pivot < _key(flat, j, axis):
                j -= 1
            if i <= j:
                _swap(flat, ids, i, j)
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@lane_function
def _halve(flat, ids, first, last, sample, halves):
    middle = middle_of(first, last)
    _select(flat, ids, first, last, middle, _best_axis(flat, first, last, middle, sample, halves))
    return middle


@lane_function_with_arrays
def _halve_once(flat, ids, first, last, halved, r):
    sample, halves = np.empty(_SAMPLE, np.float32), np.empty(2 * _AXES * BOX, np.float32)
    middle = _halve(flat, ids, first, last, sample, halves) if last - first > GROUP else last
    halved[2 * r, 0], halved[2 * r, 1] = first, middle
    halved[2 * r + 1, 0], halved[2 * r + 1, 1] = middle, last


@lane_kernel
def _halve_level(flat, ids, ranges, halved):
    """Split every range [r, 2] larger than a leaf; the halves are written to ``halved`` [2 r, 2]."""
    for r in prange(ranges.shape[0]):
        _halve_once(flat, ids, ranges[r, 0], ranges[r, 1], halved, r)


@lane_function_with_arrays
def _halve_down(flat, ids, first, last):
    sample, halves = np.empty(_SAMPLE, np.float32), np.empty(2 * _AXES * BOX, np.float32)
    waiting, count = np.empty((64, 2), np.int64), 1
    waiting[0, 0], waiting[0, 1] = first, last
    while count > 0:
        count -= 1
        first, last = waiting[count, 0], waiting[count, 1]
        while last - first > GROUP:
            middle = _halve(flat, ids, first, last, sample, halves)
            waiting[count, 0], waiting[count, 1] = middle, last
            count += 1
            last = middle


@lane_kernel
def _halve_to_leaves(flat, ids, ranges):
    """Split every range [r, 2] recursively into leaves."""
    for r in prange(ranges.shape[0]):
        _halve_down(flat, ids, ranges[r, 0], ranges[r, 1])


def packing_order(boxes: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Sort ids into the packing order of a hierarchy.

    Args:
        boxes: [n, 8] float32, lowest x, y, z and highest x, y, z negated; finite for all ``ids``.
        ids: [m] int32 rows of ``boxes`` to sort.
    """
    ids, flat = ids.copy(), boxes[ids].ravel()
    ranges = np.array([[0, ids.size]], np.int64)
    while len(ranges) < _TASKS and (ranges[:, 1] - ranges[:, 0]).max() > GROUP:
        halved = np.empty((2 * len(ranges), 2), np.int64)
        _halve_level(flat, ids, ranges, halved)
        ranges = halved[halved[:, 1] > halved[:, 0]]
    _halve_to_leaves(flat, ids, ranges)
    return ids
