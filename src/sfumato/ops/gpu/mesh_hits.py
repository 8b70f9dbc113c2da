"""Intersection of rays with triangles: a binary bounding box tree in Morton order, built on the device."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.maths.morton import morton_codes
from sfumato.ops.gpu.box_tree import leaves_for, levels_above
from sfumato.ops.gpu.kernels.triangle_tree import first_hits
from sfumato.ops.gpu.launch import start_elementwise

# Triangles per leaf.
LEAF = 4


class TriangleTree(NamedTuple):
    """Triangles in the order of a tree of boxes.

    Attributes:
        boxes: [nodes, 6] float64 lowest and highest x, y, z; the last (nodes + 1) / 2 are leaves.
        links: [nodes] int32 the node after a subtree.
        triangles: [f, 9] float64 first corner, and the edges to the second and the third.
        numbers: [f] int64 original indices of the triangles.
    """

    boxes: Tensor
    links: Tensor
    triangles: Tensor
    numbers: Tensor


def build(vertices: Tensor, faces: Tensor) -> TriangleTree:
    """Build the tree of at least one triangle [f, 3] of vertices [v, 3]."""
    points = vertices.double()[faces]
    low, high = points.amin(1), points.amax(1)
    order = torch.argsort(morton_codes(0.5 * (low + high)), stable=True)
    leaves = leaves_for(-(-len(faces) // LEAF))
    row = points.new_full((leaves * LEAF, 6), math.inf)
    row[: len(faces)] = torch.cat([low, -high], 1)[order]
    rows = levels_above(row.reshape(leaves, LEAF, 6).amin(1))
    boxes = torch.cat(rows) * row.new_tensor([1, 1, 1, -1, -1, -1])
    first, second, third = points[order].unbind(1)
    return TriangleTree(
        boxes, _links(leaves, faces), torch.cat([first, second - first, third - first], 1), order
    )


def _links(leaves: int, like: Tensor) -> Tensor:
    """[2 leaves - 1] int32 nodes after each subtree: its sibling, or its parent's."""
    row = like.new_full((1,), 2 * leaves - 1, dtype=torch.int32)
    rows = [row]
    while len(row) < leaves:
        first = 2 * len(row) - 1
        siblings = torch.arange(first + 1, first + 2 * len(row), 2, device=like.device, dtype=torch.int32)
        row = torch.stack([siblings, row], 1).flatten()
        rows.append(row)
    return torch.cat(rows)


def forward(vertices, faces, origins, directions, near, far):
    """Distance, face and barycentric corners of the first hits; see sfumato.ops.mesh_hits."""
    m = len(origins)
    if not len(faces):
        return origins.new_full((m,), math.inf), faces.new_full((m,), -1), origins.new_zeros(m, 2)
    tree = build(vertices, faces)
    found = origins.new_empty(m), faces.new_empty(m), origins.new_empty(m, 2)
    rays = [tensor.contiguous() for tensor in (origins, directions, near, far)]
    start_elementwise(first_hits, m, *tree, *rays, *found, len(tree.links), len(faces), LEAF=LEAF)
    return found
