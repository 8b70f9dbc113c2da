"""Intersection of rays with triangles: a binary tree of boxes over triangles in Morton order.

The tree is complete, so it needs no links: the children of node i are 2 i + 1 and 2 i + 2, and the
leaves, of a few triangles each, are the last row. A leaf without triangles has a box that no ray hits.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.maths.morton import morton_order
from sfumato.ops.constants import MESH_EDGE
from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.jit import kernel, scalar

_LEAF = 4
# Relative margin, larger than all rounding errors of the test of a box.
_SLACK = 1e-9
_RUN = 256


class MeshTree(NamedTuple):
    """A tree of boxes over triangles.

    Attributes:
        corners: [f, 9] float64 first corner, and the edges to the second and the third, in tree order.
        order: [f] int64 index of each triangle.
        boxes: [nodes, 6] float64 lowest and highest x, y, z; the last (nodes + 1) / 2 are leaves.
    """

    corners: np.ndarray
    order: np.ndarray
    boxes: np.ndarray


def build(vertices, faces):
    """Build the tree of at least one triangle [f, 3] of vertices [v, 3]."""
    points = vertices.astype(np.float64)[faces]
    low, high = points.min(axis=1), points.max(axis=1)
    order = morton_order(0.5 * (low + high))
    leaves = 1 << max(0, (-(-len(faces) // _LEAF) - 1).bit_length())
    boxes = np.empty((2 * leaves - 1, 6))
    padded = np.full((leaves * _LEAF, 6), np.inf)
    padded[: len(faces), :3], padded[: len(faces), 3:] = low[order], -high[order]
    row = padded.reshape(leaves, _LEAF, 6).min(axis=1)
    while True:
        boxes[len(row) - 1 : 2 * len(row) - 1] = row
        if len(row) == 1:
            break
        row = row.reshape(-1, 2, 6).min(axis=1)
    boxes[:, 3:] *= -1
    first, second, third = points[order].transpose(1, 0, 2)
    return MeshTree(np.hstack([first, second - first, third - first]), order, boxes)


@scalar
def _entry(box, o, inverse, near, far):
    """Distance at which a ray enters a box; infinite if it misses the box or enters behind ``far``."""
    enter, leave = near, far
    for k in range(3):
        a, b = (box[k] - o[k]) * inverse[k], (box[3 + k] - o[k]) * inverse[k]
        a, b = min(a, b), max(a, b)
        enter, leave = max(enter, a - abs(a) * _SLACK), min(leave, b + abs(b) * _SLACK)
    return enter if enter <= leave else math.inf


@scalar
def _triangle(row, o, d):
    """(tau, u, v) of the intersection of a ray with a triangle; tau is infinite if there is none."""
    px = d[1] * row[8] - d[2] * row[7]
    py = d[2] * row[6] - d[0] * row[8]
    pz = d[0] * row[7] - d[1] * row[6]
    volume = row[3] * px + row[4] * py + row[5] * pz
    if volume == 0.0:
        return math.inf, 0.0, 0.0
    sx, sy, sz = o[0] - row[0], o[1] - row[1], o[2] - row[2]
    u = (sx * px + sy * py + sz * pz) / volume
    qx, qy, qz = sy * row[5] - sz * row[4], sz * row[3] - sx * row[5], sx * row[4] - sy * row[3]
    v = (d[0] * qx + d[1] * qy + d[2] * qz) / volume
    if u >= -MESH_EDGE and v >= -MESH_EDGE and u + v <= 1.0 + MESH_EDGE:
        return (row[6] * qx + row[7] * qy + row[8] * qz) / volume, u, v
    return math.inf, 0.0, 0.0


@kernel
def first_hits(tree, origins, directions, near, far, distance, face, corners):
    """Find the first hit of each ray.

    Args:
        tree: from ``build``.
        origins, directions, near, far: [m, 3], [m, 3], [m], [m] float32.
        distance, face, corners: [m] float64 infinity, [m] int64 -1, [m, 2] zeros; written for rays that hit.
    """
    m, inner = origins.shape[0], tree.boxes.shape[0] // 2
    for run in prange((m + _RUN - 1) // _RUN):
        o, d, inverse = np.empty(3), np.empty(3), np.empty(3)
        stack, entries = np.empty(128, np.int64), np.empty(128)
        for j in range(run * _RUN, min(run * _RUN + _RUN, m)):
            length = 0.0
            for k in range(3):
                o[k], d[k] = origins[j, k], directions[j, k]
                length += d[k] * d[k]
            length = math.sqrt(length)
            if not (length > 0.0 and length < math.inf):
                continue
            for k in range(3):
                d[k] /= length
                # Avoids division by zero for rays along an axis.
                inverse[k] = 1.0 / d[k] if abs(d[k]) > 1e-30 else 1e30
            least, best = np.float64(near[j]), np.float64(far[j])
            stack[0], entries[0], count = 0, _entry(tree.boxes[0], o, inverse, least, best), 1
            while count > 0:
                count -= 1
                node = stack[count]
                if entries[count] >= best:
                    continue
                if node < inner:
                    left = _entry(tree.boxes[2 * node + 1], o, inverse, least, best)
                    right = _entry(tree.boxes[2 * node + 2], o, inverse, least, best)
                    # Pushes the nearer child last, so that it is visited first.
                    swap = 1 if left < right else 0
                    for child in range(2):
                        side = child ^ swap
                        entry = right if side else left
                        if entry < math.inf:
                            stack[count], entries[count] = 2 * node + 1 + side, entry
                            count += 1
                    continue
                begin = (node - inner) * _LEAF
                for slot in range(begin, min(begin + _LEAF, tree.order.size)):
                    tau, u, v = _triangle(tree.corners[slot], o, d)
                    if tau > least and tau < best:
                        best, distance[j], face[j] = tau, tau, tree.order[slot]
                        corners[j, 0], corners[j, 1] = u, v


def forward(vertices, faces, origins, directions, near, far):
    """Distance, face and barycentric corners of the first hits; see sfumato.ops.mesh_hits."""
    m = len(origins)
    distance, face, corners = np.full(m, np.inf), np.full(m, -1, np.int64), np.zeros((m, 2))
    if len(faces):
        tree = build(as_array(vertices), as_array(faces))
        first_hits(tree, *map(as_array, (origins, directions, near, far)), distance, face, corners)
    dtype = as_array(vertices).dtype
    return tuple(as_tensors([distance.astype(dtype), face, corners.astype(dtype)]))
