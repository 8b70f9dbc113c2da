"""A tree of the boxes of Gaussians' hulls in Morton order, built and refitted on the device."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.maths.morton import morton_codes
from sfumato.ops.gpu.box_tree import leaves_for, levels_above
from sfumato.ops.gpu.kernels.hulls import DEPTHS, HIGHEST, NODE, ROW, hull_rows
from sfumato.ops.gpu.launch import start_elementwise


class HullTree(NamedTuple):
    """A complete binary tree with a Gaussian per leaf.

    Attributes:
        order: [l] int32 Gaussian of each leaf, or -1; l is a power of two.
        boxes: [2 l, 8] nodes, see kernels.hulls; node i has the children 2 i and 2 i + 1, row 0 is not used.
        rows: [n, 16] float64 frames of the Gaussians, by their index.
    """

    order: Tensor
    boxes: Tensor
    rows: Tensor

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return len(self.order)


def build(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, eye: Tensor, depths: Tensor
) -> HullTree:
    """Build a tree.

    Args:
        means, quats, scales, opacities: [n, 3], [n, 4], [n, 3], [n].
        eye: [3] point that origins of rays are relative to.
        depths: [n] of a common order of all rays, or [0].
    """
    n = len(means)
    tree = HullTree(*(means.new_empty(shape, dtype=dtype) for shape, dtype in layout(n)))
    tree.order.fill_(-1)
    if n:
        known = means.isfinite().all(1, keepdim=True)
        # Where a mean is not finite, its place in the order does not matter.
        low = torch.where(known, means, math.inf).amin(0)
        codes = morton_codes(torch.where(known, means, low).nan_to_num())
        tree.order[:n] = torch.sort(codes, stable=True).indices
    refit(tree, means, quats, scales, opacities, eye, depths)
    return tree


def layout(n: int) -> tuple[tuple[tuple[int, ...], torch.dtype], ...]:
    """Shapes and dtypes of the tree of n Gaussians."""
    leaves = leaves_for(n)
    # A single leaf is read as its own sibling's parent.
    nodes = max(2 * leaves, 4)
    return ((leaves,), torch.int32), ((nodes, NODE.value), torch.float32), ((n, ROW.value), torch.float64)


def refit(
    tree: HullTree,
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    eye: Tensor,
    depths: Tensor,
) -> None:
    """Update the tree for new values of the same Gaussians; arguments as in ``build``."""
    if not len(means):
        tree.boxes.fill_(math.nan)
        return
    leaves = tree.boxes[tree.leaves : 2 * tree.leaves]
    given = [one.contiguous() for one in (means, quats, scales, opacities, eye, depths)]
    start_elementwise(hull_rows, tree.leaves, tree.order, *given, tree.rows, leaves, ORDERED=len(depths) > 0)
    for row in levels_above(leaves)[:-1]:
        tree.boxes[len(row) : 2 * len(row)] = row
    tree.boxes[:, HIGHEST.value : DEPTHS.value].neg_()
    tree.boxes[:, DEPTHS.value + 1].neg_()
