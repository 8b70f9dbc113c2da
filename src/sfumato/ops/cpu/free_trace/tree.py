"""A bounding volume hierarchy of Gaussians: 16 Gaussians per leaf, 16 leaves or nodes per node.

The hull of a Gaussian is the ellipsoid inside which its alpha reaches ALPHA_MIN: the more transparent,
the smaller. Boxes are rounded outwards. A slot is a position in the packing order (see ``order``); leaf j
has slots 16 j to 16 j + 15, so refitting needs only the order.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.free_trace.order import BOX, packing_order
from sfumato.ops.cpu.jit import kernel, scalar, scalar_with_arrays
from sfumato.ops.cpu.simd.lane_search import GROUP

# Rows of a node: lowest x, y, z of its children, then highest; one child per lane.
NODE = 6 * GROUP
# Columns of ``exact``: centre; rows of S^-1 R^T; squared Mahalanobis radius of the hull; opacity.
MEAN, LOCAL, LIMIT, OPACITY, EXACT = 0, 3, 12, 13, 16
# Rows of a leaf of ``rough``: the same in float32, and a bound of the rounding error for each axis.
ERROR, ROUGH = 13, 16 * GROUP

_ALPHA_MIN = constants.ALPHA_MIN
_CHUNK = 256
# Relative margins by which boxes are rounded outwards: more than the two roundings to float32.
_ROUND, _GROW = 1.3e-7, 1e-6
# The rough test widens the squared radius by 1% plus 100 times the squared rounding error of the radius,
# which is 8 * (16 * 1.2e-7)^2 divided by the squared scale of an axis.
_WIDER, _ROUNDING = 1.01, 3e-9


class Tree(NamedTuple):
    """A bounding volume hierarchy.

    Attributes:
        order: [16 leaves] int32 Gaussian of each slot, or -1.
        boxes: [nodes * 6 * 16] float32, the boxes of each node's children.
        below: [nodes] int32 first child: the index of a leaf, or -1 - index of a node; then the children
            follow in decreasing order.
        levels: [levels + 1] int64 first node of each level, the lowest level first; the root is last.
        centres: [leaves, 3] float32 origin of the centres in ``rough``.
        rough: [leaves * 16 * 16] float32, data for the conservative first test of a leaf's Gaussians.
        exact: [16 leaves, 16] float64, data for the exact test.
    """

    order: np.ndarray
    boxes: np.ndarray
    below: np.ndarray
    levels: np.ndarray
    centres: np.ndarray
    rough: np.ndarray
    exact: np.ndarray


@scalar
def _sound(means, quats, scales, opacities, i):
    """Whether a Gaussian is valid and can be visible; see reference.trace.sound."""
    has_rotation = False
    for k in range(4):
        if not np.isfinite(quats[i, k]):
            return False
        has_rotation = has_rotation or quats[i, k] != 0
    for k in range(3):
        if not (np.isfinite(means[i, k]) and np.isfinite(scales[i, k]) and scales[i, k] > 0):
            return False
    return has_rotation and np.isfinite(opacities[i]) and opacities[i] > _ALPHA_MIN


@scalar
def _fill_exact(means, quats, scales, opacities, i, row):
    """Fill a row of ``exact``."""
    w, x, y, z = (
        np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
    )  # fmt: skip
    inverse = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    a, b, c = (1.0 / np.float64(scales[i, 0]), 1.0 / np.float64(scales[i, 1]), 1.0 / np.float64(scales[i, 2]))
    row[0], row[1], row[2] = means[i, 0], means[i, 1], means[i, 2]
    row[3], row[4], row[5] = (
        a * (1.0 - 2.0 * (y * y + z * z)), a * 2.0 * (x * y + w * z), a * 2.0 * (x * z - w * y)
    )  # fmt: skip
    row[6], row[7], row[8] = (
        b * 2.0 * (x * y - w * z), b * (1.0 - 2.0 * (x * x + z * z)), b * 2.0 * (y * z + w * x)
    )  # fmt: skip
    row[9], row[10], row[11] = (
        c * 2.0 * (x * z + w * y), c * 2.0 * (y * z - w * x), c * (1.0 - 2.0 * (x * x + y * y))
    )  # fmt: skip
    row[LIMIT] = 2.0 * math.log(np.float64(opacities[i]) / _ALPHA_MIN)
    row[OPACITY] = opacities[i]


@scalar
def _hull_box(row, scales, i, box):
    """Fill ``box`` [8] with the bounding box of a hull: lowest, and highest negated."""
    v0, v1, v2 = np.float64(scales[i, 0]) ** 4, np.float64(scales[i, 1]) ** 4, np.float64(scales[i, 2]) ** 4
    for k in range(3):
        # Rows of S^-1 R^T, times s^2, are columns of R S.
        spread = row[3 + k] ** 2 * v0 + row[6 + k] ** 2 * v1 + row[9 + k] ** 2 * v2
        half = math.sqrt(row[LIMIT] * spread) * (1.0 + _GROW)
        low, high = row[k] - half, row[k] + half
        box[k] = low - abs(low) * _ROUND
        box[3 + k] = -(high + abs(high) * _ROUND)


@scalar_with_arrays
def _fill_boxes(first, means, quats, scales, opacities, boxes, keep):
    row = np.empty(EXACT, np.float64)
    for i in range(first, min(first + _CHUNK, means.shape[0])):
        keep[i] = _sound(means, quats, scales, opacities, i)
        if keep[i]:
            _fill_exact(means, quats, scales, opacities, i, row)
            _hull_box(row, scales, i, boxes[i])


@kernel
def _boxes(means, quats, scales, opacities, boxes, keep):
    """Fill [n, 8] the boxes of all hulls, and [n] whether each Gaussian can be visible."""
    for chunk in prange((means.shape[0] + _CHUNK - 1) // _CHUNK):
        _fill_boxes(chunk * _CHUNK, means, quats, scales, opacities, boxes, keep)


@scalar
def _fill_rough(rough, leaf, lane, row, centre, scales, i):
    """Fill a lane of a leaf of ``rough``."""
    at = leaf * ROUGH + lane
    for k in range(3):
        rough[at + k * GROUP] = row[k] - centre[k]
    for k in range(3, 12):
        rough[at + k * GROUP] = row[k]
    rough[at + LIMIT * GROUP] = row[LIMIT] * _WIDER
    for k in range(3):
        rough[at + (ERROR + k) * GROUP] = _ROUNDING / (np.float64(scales[i, k]) * scales[i, k])


@scalar
def _fill_empty(rough, leaf, lane, row):
    """Fill a lane of a leaf and a row of ``exact`` such that no ray hits them."""
    row[:] = 0.0
    at = leaf * ROUGH + lane
    for k in range(16):
        rough[at + k * GROUP] = 0.0
    # A ball of negative squared radius; zeros would give NaN, which the test treats as a hit.
    for k in range(3):
        rough[at + (LOCAL + 4 * k) * GROUP] = row[LOCAL + 4 * k] = 1.0
    rough[at + LIMIT * GROUP] = row[LIMIT] = -np.inf


@scalar_with_arrays
def _refit_leaf(order, leaf, gaussians, centre, rough, exact, joined):
    """Fill a leaf, and its box ``joined`` [8], highest negated."""
    means, quats, scales, opacities = gaussians
    hull = np.empty(BOX, np.float32)
    joined[:], centre[:] = np.inf, 0.0
    for lane in range(GROUP):
        slot = leaf * GROUP + lane
        i, row = order[slot], exact[slot]
        if i >= 0 and _sound(means, quats, scales, opacities, i):
            _fill_exact(means, quats, scales, opacities, i, row)
            _hull_box(row, scales, i, hull)
            for k in range(6):
                joined[k] = min(joined[k], hull[k])
        else:
            row[LIMIT] = -np.inf
    if joined[0] == np.inf:
        return
    for k in range(3):
        centre[k] = 0.5 * joined[k] - 0.5 * joined[3 + k]
    for lane in range(GROUP):
        row = exact[leaf * GROUP + lane]
        if row[LIMIT] > 0:
            i = order[leaf * GROUP + lane]
            _fill_rough(rough, leaf, lane, row, centre, scales, i)
        else:
            _fill_empty(rough, leaf, lane, row)


@scalar_with_arrays
def _refit_leaves_below(node, order, gaussians, boxes, centres, rough, exact):
    joined = np.empty(BOX, np.float32)
    for child in range(GROUP):
        leaf = node * GROUP + child
        joined[:] = np.inf
        if leaf < order.size // GROUP:
            _refit_leaf(order, leaf, gaussians, centres[leaf], rough, exact, joined)
        for k in range(3):
            boxes[node * NODE + k * GROUP + child] = joined[k]
            boxes[node * NODE + (3 + k) * GROUP + child] = -joined[3 + k]


@kernel
def _refit_leaves(order, means, quats, scales, opacities, boxes, centres, rough, exact):
    """Fill ``rough``, ``exact`` and the boxes of the nodes above leaves; one task per node."""
    for node in prange((order.size // GROUP + GROUP - 1) // GROUP):
        gaussians = means, quats, scales, opacities
        _refit_leaves_below(node, order, gaussians, boxes, centres, rough, exact)


@scalar
def _join_children(boxes, at, below_first, below_last):
    """Fill the boxes of the node at ``at`` from those of its children."""
    for child in range(GROUP):
        source = (below_first + child) * NODE
        for k in range(6):
            value = np.float32(np.inf if k < 3 else -np.inf)
            if below_first + child < below_last:
                for lane in range(GROUP):
                    other = boxes[source + k * GROUP + lane]
                    value = min(value, other) if k < 3 else max(value, other)
            boxes[at + k * GROUP + child] = value


@kernel
def _refit_level(boxes, below_first, below_last, first):
    """Fill the boxes of a level of nodes from those of the level below."""
    for node in prange((below_last - below_first + GROUP - 1) // GROUP):
        _join_children(boxes, (first + node) * NODE, below_first + node * GROUP, below_last)


def refit(tree: Tree, means, quats, scales, opacities) -> None:
    """Update the tree in place for new values of the same Gaussians.

    Args:
        tree: tree of the same number of Gaussians.
        means, quats, scales, opacities: [n, 3], [n, 4], [n, 3], [n] float32.
    """
    _refit_leaves(
        tree.order, means, quats, scales, opacities, tree.boxes, tree.centres, tree.rough, tree.exact
    )
    for first, middle in zip(tree.levels[:-2], tree.levels[1:-1], strict=True):
        _refit_level(tree.boxes, first, middle, middle)


def build(means, quats, scales, opacities) -> Tree:
    """Build a hierarchy; arguments as in ``refit``. The result is independent of the number of threads."""
    boxes, keep = np.zeros((len(means), BOX), np.float32), np.empty(len(means), np.bool_)
    _boxes(means, quats, scales, opacities, boxes, keep)
    ids = np.arange(len(means), dtype=np.int32)
    # Invisible Gaussians are kept at the end, because they may be visible after a refit.
    packed = np.concatenate([packing_order(boxes, ids[keep]), ids[~keep]])
    leaves = max(1, -(-packed.size // GROUP))
    order = np.full(leaves * GROUP, -1, np.int32)
    order[: packed.size] = packed
    levels, counts = [0], -(-leaves // GROUP)
    below = [np.arange(counts, dtype=np.int32) * GROUP]
    while counts > 1:
        first, counts = levels[-1], -(-counts // GROUP)
        levels.append(first + below[-1].size)
        below.append(-1 - first - np.arange(counts, dtype=np.int32) * GROUP)
    levels = np.array([*levels, levels[-1] + below[-1].size], np.int64)
    nodes = int(levels[-1])
    tree = Tree(
        order, np.empty(nodes * NODE, np.float32), np.concatenate(below), levels,
        np.zeros((leaves, 3), np.float32), np.zeros(leaves * ROUGH, np.float32),
        np.zeros((leaves * GROUP, EXACT), np.float64),
    )  # fmt: skip
    refit(tree, means, quats, scales, opacities)
    return tree


def layout(n: int) -> tuple[list[tuple[int, ...]], list[torch.dtype]]:
    """Shapes and dtypes of the Tree of n Gaussians."""
    leaves = max(1, -(-n // GROUP))
    levels = [-(-leaves // GROUP)]
    while levels[-1] > 1:
        levels.append(-(-levels[-1] // GROUP))
    nodes = sum(levels)
    shapes = Tree(
        (leaves * GROUP,), (nodes * NODE,), (nodes,), (len(levels) + 1,), (leaves, 3), (leaves * ROUGH,),
        (leaves * GROUP, EXACT),
    )  # fmt: skip
    f32, i32 = torch.float32, torch.int32
    return list(shapes), list(Tree(i32, f32, i32, torch.int64, f32, f32, torch.float64))
