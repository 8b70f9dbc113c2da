"""Traversal of a hierarchy by a ray: returns the Gaussians it hits one by one, in order of distance.

The node with the nearest entry is opened first. A hit is returned once the entries of all unopened nodes
are behind it; so each node is opened at most once, only blended hits are sorted, and the order is
exact however many Gaussians overlap. At equal distance the lower index comes first.
The 16 Gaussians of a leaf are first tested together in float32, with a margin for rounding; the candidates
are then tested exactly in float64.
"""

import math
from typing import NamedTuple

import numpy as np

from sfumato.ops.cpu.free_trace.tree import ERROR, LIMIT, LOCAL, NODE, ROUGH
from sfumato.ops.cpu.jit import lane_function, lane_function_with_arrays, scalar
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.lane_search import GROUP, least_of, mask_bits, position_of

_INFINITY = np.float32(np.inf)
_ALL_LANES = np.uint64((1 << GROUP) - 1)
# Relative margin of the distance to a box: more than its four float32 roundings.
_SLACK = np.float32(5e-7)
# Smallest component of a direction, to avoid division by zero for rays along an axis.
_LEAST_COMPONENT = 1e-20
NODES, HITS = 0, 1


class Ray(NamedTuple):
    """A ray in float64 and float32.

    Attributes:
        ox, oy, oz, dx, dy, dz: float64 origin and unit direction.
        x, y, z, u, v, w: the same in float32.
        per_u, per_v, per_w: float32 inverses of the direction's components.
        near, far: float64 limits of the distance.
    """

    ox: float
    oy: float
    oz: float
    dx: float
    dy: float
    dz: float
    x: np.float32
    y: np.float32
    z: np.float32
    u: np.float32
    v: np.float32
    w: np.float32
    per_u: np.float32
    per_v: np.float32
    per_w: np.float32
    near: float
    far: float


class Walk(NamedTuple):
    """State of a traversal: unopened nodes and pending hits; the lists are padded with infinity.

    Attributes:
        entries: float32 distance to each unopened node or leaf.
        closed: int32 its index: that of a leaf, or -1 - that of a node.
        nearest: float32 rounded distance of each pending hit.
        taus, sigmas: float64 of each pending hit, as in reference.trace.Response.
        slots: int32 slot of each pending hit.
        counts: [2] int64 number of unopened nodes and of pending hits.
    """

    entries: np.ndarray
    closed: np.ndarray
    nearest: np.ndarray
    taus: np.ndarray
    sigmas: np.ndarray
    slots: np.ndarray
    counts: np.ndarray


@scalar
def _inverse(component):
    if abs(component) < _LEAST_COMPONENT:
        return np.float32(math.copysign(1.0 / _LEAST_COMPONENT, component))
    return np.float32(1.0 / component)


@scalar
def ray_of(rays, j):
    """(length of the direction, Ray) of ray j; the length is 0 for an invalid ray."""
    origins, directions = rays.origins, rays.directions
    column = min(j, rays.limits.shape[1] - 1)
    near, far = rays.limits[0, column], rays.limits[1, column]
    x, y, z = np.float64(directions[j, 0]), np.float64(directions[j, 1]), np.float64(directions[j, 2])
    ox, oy, oz = np.float64(origins[j, 0]), np.float64(origins[j, 1]), np.float64(origins[j, 2])
    length = math.sqrt(x * x + y * y + z * z)
    if not (np.isfinite(length) and np.isfinite(ox) and np.isfinite(oy) and np.isfinite(oz)):
        length = 0.0
    inverse = 1.0 / length if length > 0 else 0.0
    x, y, z = x * inverse, y * inverse, z * inverse
    return length, Ray(
        ox, oy, oz, x, y, z, origins[j, 0], origins[j, 1], origins[j, 2],
        np.float32(x), np.float32(y), np.float32(z), _inverse(x), _inverse(y), _inverse(z), near, far,
    )  # fmt: skip


class RayResponse(NamedTuple):
    """Response of a Gaussian along a ray, in the frame where the Gaussian is the unit ball, float64.

    Attributes:
        tau, y: distance to the point of maximum, and that point; exp(-|y|^2 / 2) is the response.
        direction, length2: direction of the ray, and its squared length.
    """

    tau: float
    y: tuple[float, float, float]
    direction: tuple[float, float, float]
    length2: float


@scalar
def response(row, ray):
    """RayResponse of a Gaussian, given by its row of Tree.exact.

    The origin is first moved along the ray next to the Gaussian, to avoid cancellation for thin Gaussians.
    """
    px, py, pz = ray.ox - row[0], ray.oy - row[1], ray.oz - row[2]
    passed = px * ray.dx + py * ray.dy + pz * ray.dz
    px, py, pz = px - passed * ray.dx, py - passed * ray.dy, pz - passed * ray.dz
    qx = row[3] * px + row[4] * py + row[5] * pz
    qy = row[6] * px + row[7] * py + row[8] * pz
    qz = row[9] * px + row[10] * py + row[11] * pz
    gx = row[3] * ray.dx + row[4] * ray.dy + row[5] * ray.dz
    gy = row[6] * ray.dx + row[7] * ray.dy + row[8] * ray.dz
    gz = row[9] * ray.dx + row[10] * ray.dy + row[11] * ray.dz
    gg = gx * gx + gy * gy + gz * gz
    ahead = -(qx * gx + qy * gy + qz * gz) / gg
    y = qx + ahead * gx, qy + ahead * gy, qz + ahead * gz
    return RayResponse(ahead - passed, y, (gx, gy, gz), gg)


@lane_function_with_arrays
def _open_node(tree, node, ray, walk, count):
    """Append the children that the ray enters to the list; returns its new length."""
    at, boxes = node * NODE, tree.boxes
    # Rows of the box planes through which the ray enters; it leaves through the opposite ones.
    row_x = 0 if ray.per_u > 0 else 3 * GROUP
    row_y = GROUP if ray.per_v > 0 else 4 * GROUP
    row_z = 2 * GROUP if ray.per_w > 0 else 5 * GROUP
    enter = (ln.load(GROUP, boxes, at + row_x) - ray.x) * ray.per_u
    enter = ln.larger((ln.load(GROUP, boxes, at + row_y) - ray.y) * ray.per_v, enter)
    enter = ln.larger((ln.load(GROUP, boxes, at + row_z) - ray.z) * ray.per_w, enter)
    leave = (ln.load(GROUP, boxes, at + 3 * GROUP - row_x) - ray.x) * ray.per_u
    leave = ln.smaller((ln.load(GROUP, boxes, at + 5 * GROUP - row_y) - ray.y) * ray.per_v, leave)
    leave = ln.smaller((ln.load(GROUP, boxes, at + 7 * GROUP - row_z) - ray.z) * ray.per_w, leave)
    enter = enter - ln.magnitude(enter) * _SLACK
    leave = leave + ln.magnitude(leave) * _SLACK
    near, far = np.float32(ray.near), np.float32(ray.far)
    near, far = near - abs(near) * _SLACK, far + abs(far) * _SLACK
    bits = mask_bits((enter <= leave) & (leave >= near) & (enter <= far))
    entries, closed = walk.entries, walk.closed
    first, step = tree.below[node], (1 if tree.below[node] >= 0 else -1)
    distances = np.empty(GROUP, np.float32)
    ln.store(distances, 0, ln.larger(enter, near))
    while bits:
        child = ln.trailing_zeros(bits)
        bits &= bits - np.uint64(1)
        entries[count], closed[count] = distances[child], first + step * child
        count += 1
    ln.store(entries, count, ln.spread(GROUP, _INFINITY))
    return count


@lane_function
def _three_rows(rough, at):
    return ln.load(GROUP, rough, at), ln.load(GROUP, rough, at + GROUP), ln.load(GROUP, rough, at + 2 * GROUP)


@lane_function
def _candidates(rough, leaf, centre, ray):
    """Bits of the Gaussians of a leaf that a ray may hit, by a conservative test."""
    at = leaf * ROUGH
    # Relative to the point of the ray nearest to the leaf's centre, so that numbers are as small as the leaf.
    px, py, pz = ray.ox - centre[0], ray.oy - centre[1], ray.oz - centre[2]
    passed = px * ray.dx + py * ray.dy + pz * ray.dz
    px, py, pz = px - passed * ray.dx, py - passed * ray.dy, pz - passed * ray.dz
    x, y, z = np.float32(px), np.float32(py), np.float32(pz)
    mx, my, mz = _three_rows(rough, at)
    reach = mx * mx + my * my + mz * mz + (x * x + y * y + z * z)
    px, py, pz = x - mx, y - my, z - mz
    passed = px * ray.u + py * ray.v + pz * ray.w
    px, py, pz = px - passed * ray.u, py - passed * ray.v, pz - passed * ray.w
    at += LOCAL * GROUP
    a, b, c = (
        ln.load(GROUP, rough, at), ln.load(GROUP, rough, at + GROUP), ln.load(GROUP, rough, at + 2 * GROUP)
    )  # fmt: skip
    qx, gx = a * px + b * py + c * pz, a * ray.u + b * ray.v + c * ray.w
    at += 3 * GROUP
    a, b, c = (
        ln.load(GROUP, rough, at), ln.load(GROUP, rough, at + GROUP), ln.load(GROUP, rough, at + 2 * GROUP)
    )  # fmt: skip
    qy, gy = a * px + b * py + c * pz, a * ray.u + b * ray.v + c * ray.w
    at += 3 * GROUP
    a, b, c = (
        ln.load(GROUP, rough, at), ln.load(GROUP, rough, at + GROUP), ln.load(GROUP, rough, at + 2 * GROUP)
    )  # fmt: skip
    qz, gz = a * px + b * py + c * pz, a * ray.u + b * ray.v + c * ray.w
    cx, cy, cz = qy * gz - qz * gy, qz * gx - qx * gz, qx * gy - qy * gx
    gx, gy, gz = gx * gx, gy * gy, gz * gz
    qx, qy, qz = qx * qx, qy * qy, qz * qz
    limit = ln.load(GROUP, rough, leaf * ROUGH + LIMIT * GROUP) * (gx + gy + gz)
    # Per axis, so that the error along the thin axis of a disc does not widen the other two.
    a, b, c = _three_rows(rough, leaf * ROUGH + ERROR * GROUP)
    error = a * ((gy + gz) * reach + (qy + qz)) + b * ((gz + gx) * reach + (qz + qx))
    error = error + c * ((gx + gy) * reach + (qx + qy))
    # Tests for misses, so that NaN proceeds to the exact test.
    missed = cx * cx + cy * cy + cz * cz > limit + error
    return ~mask_bits(missed) & _ALL_LANES


@lane_function
def _open_leaf(tree, leaf, ray, walk, count):
    """Append the hits of a leaf to the list; returns its new length."""
    bits = _candidates(tree.rough, leaf, tree.centres[leaf], ray)
    while bits:
        slot = leaf * GROUP + ln.trailing_zeros(bits)
        bits &= bits - np.uint64(1)
        found = response(tree.exact[slot], ray)
        tau, y = found.tau, found.y
        squared = y[0] * y[0] + y[1] * y[1] + y[2] * y[2]
        if squared <= tree.exact[slot, LIMIT] and tau >= ray.near and tau <= ray.far:
            walk.nearest[count], walk.taus[count] = tau, tau
            walk.sigmas[count], walk.slots[count] = 0.5 * squared, slot
            count += 1
    ln.store(walk.nearest, count, ln.spread(GROUP, _INFINITY))
    return count


@lane_function
def _nearest_hit(tree, walk, wanted, count):
    """Position of the nearest hit, whose rounded distance is ``wanted``; ties are broken by index."""
    at = position_of(walk.nearest, wanted)
    for other in range(at + 1, count):
        if walk.nearest[other] == wanted:
            sooner = walk.taus[other] < walk.taus[at]
            before = tree.order[walk.slots[other]] < tree.order[walk.slots[at]]
            if sooner or (walk.taus[other] == walk.taus[at] and before):
                at = other
    return at


@lane_function_with_arrays
def new_walk(tree):
    """Lists long enough for any ray; untouched memory costs nothing."""
    num_boxes, num_slots = tree.below.size + tree.order.size // GROUP + 2 * GROUP, tree.order.size + 2 * GROUP
    return Walk(
        np.empty(num_boxes, np.float32), np.empty(num_boxes, np.int32), np.empty(num_slots, np.float32),
        np.empty(num_slots, np.float64), np.empty(num_slots, np.float64), np.empty(num_slots, np.int32),
        np.zeros(2, np.int64),
    )  # fmt: skip


@lane_function
def start(tree, walk):
    """Reset the lists, with only the root."""
    ln.store(walk.entries, 0, ln.spread(GROUP, _INFINITY))
    ln.store(walk.nearest, 0, ln.spread(GROUP, _INFINITY))
    walk.entries[0], walk.closed[0] = -_INFINITY, -tree.below.size
    walk.counts[NODES], walk.counts[HITS] = 1, 0


@lane_function
def next_hit(tree, ray, walk):
    """(slot, tau, sigma) of the next hit of the ray; the slot is -1 after the last hit."""
    nodes, hits = walk.counts[NODES], walk.counts[HITS]
    hit = least_of(walk.nearest, hits)
    while True:
        entry = least_of(walk.entries, nodes)
        if hit < entry:
            at = _nearest_hit(tree, walk, hit, hits)
            found = np.intp(walk.slots[at]), walk.taus[at], walk.sigmas[at]
            hits -= 1
            walk.nearest[at], walk.taus[at] = walk.nearest[hits], walk.taus[hits]
            walk.sigmas[at], walk.slots[at] = walk.sigmas[hits], walk.slots[hits]
            walk.nearest[hits] = _INFINITY
            break
        if nodes == 0:
            found = np.intp(-1), 0.0, 0.0
            break
        at = position_of(walk.entries, entry)
        opened = np.intp(walk.closed[at])
        nodes -= 1
        walk.entries[at], walk.closed[at] = walk.entries[nodes], walk.closed[nodes]
        walk.entries[nodes] = _INFINITY
        if opened < 0:
            nodes = _open_node(tree, -1 - opened, ray, walk, nodes)
        else:
            hits = _open_leaf(tree, opened, ray, walk, hits)
            hit = least_of(walk.nearest, hits)
    walk.counts[NODES], walk.counts[HITS] = nodes, hits
    return found
