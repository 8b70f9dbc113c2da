"""Intersection of rays with triangles, one ray per lane: stackless traversal of a binary bounding box tree.

The tree is complete: the children of node i are 2 i + 1 and 2 i + 2, and the leaves are its last row. After
a node whose box is missed, traversal continues at its link. All computations are in float64, as in the
reference.
"""

import triton
import triton.language as tl

from sfumato.ops import constants

EDGE_TOLERANCE = tl.constexpr(constants.MESH_EDGE)
# Relative margin above the rounding errors of a box test.
SLACK = tl.constexpr(1e-9)
INFINITE = tl.constexpr(float("inf"))
# Avoids division by zero for axis-aligned rays.
SMALLEST = tl.constexpr(1e-30)


@triton.jit
def _between(low, high, start, slope, enter, leave):
    """The interval of a ray between two planes."""
    inverse = tl.where(tl.abs(slope) > SMALLEST, 1.0 / slope, 1.0 / SMALLEST)
    a, b = (low - start) * inverse, (high - start) * inverse
    first, last = tl.minimum(a, b), tl.maximum(a, b)
    return (
        tl.maximum(enter, first - tl.abs(first) * SLACK),
        tl.minimum(leave, last + tl.abs(last) * SLACK),
    )


@triton.jit
def _cross(a_x, a_y, a_z, b_x, b_y, b_z):
    return a_y * b_z - a_z * b_y, a_z * b_x - a_x * b_z, a_x * b_y - a_y * b_x


@triton.jit
def _met(row, o_x, o_y, o_z, d_x, d_y, d_z):
    """Distance and barycentric weights of the second and third corner of a hit; infinite without a hit."""
    e_x, e_y, e_z = tl.load(row + 3), tl.load(row + 4), tl.load(row + 5)
    f_x, f_y, f_z = tl.load(row + 6), tl.load(row + 7), tl.load(row + 8)
    p_x, p_y, p_z = _cross(d_x, d_y, d_z, f_x, f_y, f_z)
    volume = e_x * p_x + e_y * p_y + e_z * p_z
    s_x, s_y, s_z = o_x - tl.load(row), o_y - tl.load(row + 1), o_z - tl.load(row + 2)
    q_x, q_y, q_z = _cross(s_x, s_y, s_z, e_x, e_y, e_z)
    u = (s_x * p_x + s_y * p_y + s_z * p_z) / volume
    v = (d_x * q_x + d_y * q_y + d_z * q_z) / volume
    tau = (f_x * q_x + f_y * q_y + f_z * q_z) / volume
    inside = (u >= -EDGE_TOLERANCE) & (v >= -EDGE_TOLERANCE) & (u + v <= 1.0 + EDGE_TOLERANCE)
    return tl.where(inside & (volume != 0), tau, INFINITE), u, v


@triton.jit(do_not_specialize=["n", "nodes", "faces"])
def first_hits(
    boxes, links, triangles, numbers, origins, directions, near, far, distance, face, corners,
    nodes, faces, n, LEAF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the first hit of each ray.

    Args:
        boxes: [nodes, 6] float64 lowest and highest x, y, z.
        links: [nodes] int32 next node if a box is missed; ``nodes`` at the end.
        triangles: [faces, 9] float64 first corner and two edges, in the order of the leaves.
        numbers: [faces] int64 original indices of the triangles.
        distance, face, corners: [n] float32, [n] int64, [n, 2] float32, written.
    """
    j = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = j < n
    j = tl.minimum(j, n - 1)
    o_x, o_y = tl.load(origins + 3 * j).to(tl.float64), tl.load(origins + 3 * j + 1).to(tl.float64)
    o_z = tl.load(origins + 3 * j + 2).to(tl.float64)
    d_x, d_y = tl.load(directions + 3 * j).to(tl.float64), tl.load(directions + 3 * j + 1).to(tl.float64)
    d_z = tl.load(directions + 3 * j + 2).to(tl.float64)
    length = tl.sqrt(d_x * d_x + d_y * d_y + d_z * d_z)
    d_x, d_y, d_z = d_x / length, d_y / length, d_z / length
    least, best = tl.load(near + j).to(tl.float64), tl.load(far + j).to(tl.float64)
    found = tl.full([BLOCK], -1, tl.int64)
    best_u = tl.zeros([BLOCK], tl.float64)
    best_v = tl.zeros([BLOCK], tl.float64)
    node = tl.where(here & (length > 0) & (length < INFINITE), 0, nodes)
    while tl.min(node) < nodes:
        walking = node < nodes
        at = tl.minimum(node, nodes - 1)
        box = boxes + 6 * at
        enter, leave = _between(tl.load(box), tl.load(box + 3), o_x, d_x, least, best)
        enter, leave = _between(tl.load(box + 1), tl.load(box + 4), o_y, d_y, enter, leave)
        enter, leave = _between(tl.load(box + 2), tl.load(box + 5), o_z, d_z, enter, leave)
        met = walking & (enter <= leave)
        first_leaf = nodes // 2
        is_leaf = at >= first_leaf
        for place in tl.static_range(LEAF):
            slot = tl.maximum(at - first_leaf, 0) * LEAF + place
            there = met & is_leaf & (slot < faces)
            slot = tl.minimum(slot, faces - 1)
            tau, u, v = _met(triangles + 9 * slot, o_x, o_y, o_z, d_x, d_y, d_z)
            nearer = there & (tau > least) & (tau < best)
            best = tl.where(nearer, tau, best)
            best_u, best_v = tl.where(nearer, u, best_u), tl.where(nearer, v, best_v)
            found = tl.where(nearer, tl.load(numbers + slot), found)
        onward = tl.where(met & (is_leaf == 0), 2 * at + 1, tl.load(links + at))
        node = tl.where(walking, onward, node)
    tl.store(distance + j, tl.where(found >= 0, best, INFINITE).to(tl.float32), mask=here)
    tl.store(face + j, found, mask=here)
    tl.store(corners + 2 * j, best_u.to(tl.float32), mask=here)
    tl.store(corners + 2 * j + 1, best_v.to(tl.float32), mask=here)
