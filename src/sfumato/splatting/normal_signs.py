"""Orientation of normals: towards the scanner if known, else consistent between neighbours and outwards."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from sfumato.splatting.local_planes import blocks

# Neighbours of a point in the graph along which signs are propagated.
_LINKS = 6
# Added to the cost of an edge, as a sparse matrix drops edges of zero cost.
_LEAST_COST = 1e-6


def oriented(
    xyz: np.ndarray, normals: np.ndarray, rows: np.ndarray, towards: np.ndarray | None = None
) -> np.ndarray:
    """Normals with consistent signs.

    Without a scanner, signs are propagated along the minimum spanning tree of neighbours with similar planes;
    each connected surface is then oriented away from its centroid.

    Args:
        xyz: [n, 3] points.
        normals: [n, 3] unit vectors of any sign.
        rows: [n, k] neighbours of each point.
        towards: [n, 3] directions to the scanner, zero if unknown; None: all unknown.

    Returns:
        [n, 3] of the same dtype as the normals.

    Source: Hoppe et al. 1992.
    """
    if towards is not None and towards.any(axis=1).all():
        return (
            normals
            * np.where(np.einsum("ni,ni->n", normals, towards) < 0, -1, 1).astype(normals.dtype)[:, None]
        )
    signs, surface = _spread(normals, rows)
    turned = normals * signs[:, None].astype(normals.dtype)
    return turned * _outwards(xyz, turned, surface, towards)[surface][:, None].astype(normals.dtype)


def _spread(normals: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n] signs that are consistent within each connected surface, and [n] the index of the surface."""
    count, links = len(normals), min(_LINKS, rows.shape[1])
    cost = np.empty((count, links), np.float32)
    for part in blocks(count):
        alike = np.abs(np.einsum("ni,nki->nk", normals[part], normals[rows[part, :links]]))
        cost[part] = 1 + _LEAST_COST - np.minimum(alike, 1)
    starts = np.repeat(np.arange(count, dtype=np.int32), links)
    graph = coo_matrix((cost.ravel(), (starts, rows[:, :links].ravel())), (count, count)).tocsr()
    tree = minimum_spanning_tree(graph, overwrite=True)
    number, surface = connected_components(tree, directed=False)
    before = _predecessors(tree, surface, number)
    signs = np.where(np.einsum("ni,ni->n", normals, normals[before]) < 0, -1, 1)
    # The sign of a point is the product along its path to the root, computed by pointer doubling.
    while not (before == before[before]).all():
        signs, before = signs * signs[before], before[before]
    return signs, surface


def _predecessors(tree: coo_matrix, surface: np.ndarray, number: int) -> np.ndarray:
    """[n] the predecessor of each point on the path to the root of its surface; roots are their own."""
    count = len(surface)
    _, roots = np.unique(surface, return_index=True)
    # An additional node joins all roots, so that one search finds every path.
    ones = coo_matrix((np.ones(number, np.float32), (np.full(number, count), roots)), (count + 1,) * 2)
    tree = tree.tocoo()
    whole = coo_matrix((tree.data, (tree.row, tree.col)), (count + 1,) * 2) + ones
    _, before = breadth_first_order(whole.tocsr(), count, directed=False)
    before = before[:count].astype(np.int64)
    return np.where(before == count, np.arange(count), before)


def _outwards(
    xyz: np.ndarray, normals: np.ndarray, surface: np.ndarray, towards: np.ndarray | None
) -> np.ndarray:
    """[surfaces] signs: towards the scanner if any direction to it is known, else away from the centroid."""
    sizes = np.bincount(surface)
    middles = np.stack([np.bincount(surface, xyz[:, axis]) / sizes for axis in range(3)], axis=1)
    away = np.bincount(surface, np.einsum("ni,ni->n", normals, xyz - middles[surface]))
    if towards is not None:
        facing = np.bincount(surface, np.einsum("ni,ni->n", normals, towards))
        away = np.where(facing != 0, facing, away)
    return np.where(away < 0, -1, 1)
