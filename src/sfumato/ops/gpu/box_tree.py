"""Complete binary trees of boxes, from their leaves."""

from __future__ import annotations

from torch import Tensor


def levels_above(row: Tensor) -> list[Tensor]:
    """Rows of the tree, the root's first: each node is the minimum of its two children.

    Args:
        row: [l, c] leaves, a power of two; highest corners negated, so that one minimum serves both.
    """
    rows = [row]
    while len(rows[0]) > 1:
        rows.insert(0, rows[0].reshape(-1, 2, row.shape[1]).amin(1))
    return rows


def leaves_for(n: int) -> int:
    """The least power of two from ``n`` on, at least 1."""
    return 1 << max(n - 1, 0).bit_length()
