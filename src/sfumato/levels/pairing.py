"""Which Gaussians may be merged, and the cheapest pairs that share no Gaussian."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def neighbour_pairs(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of points of which one is among the nearest neighbours of the other.

    Args:
        points: [n, 3] float64, n at least 2.
        count: number of neighbours of each point.

    Returns:
        [m] indices of the first and of the second of each pair, first < second, ascending.
    """
    n = len(points)
    among = min(count + 1, n)
    # A list of ranks keeps the column axis even for a single neighbour.
    _, rows = cKDTree(points).query(points, k=np.arange(1, among + 1), workers=-1)
    first, second = np.repeat(np.arange(n), among), rows.astype(np.int64).ravel()
    # Coincident points may be listed before the point itself.
    differs = first != second
    low = np.minimum(first, second)[differs]
    high = np.maximum(first, second)[differs]
    keys = low * n + high
    keys.sort()
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    return keys // n, keys % n


def cheapest_matching(
    first: np.ndarray, second: np.ndarray, costs: np.ndarray, num_points: int, most: int
) -> np.ndarray:
    """Greedy matching: repeatedly take the cheapest pair of points that are still free.

    Args:
        first, second: [m] indices of the points of each pair.
        costs: [m] of each pair; ties are broken by position.
        num_points: number of points.
        most: number of pairs wanted, the cheapest.

    Returns:
        [at most ``most``] indices of pairs, cheapest first.
    """
    order = np.argsort(costs, kind="stable")
    ends = np.stack([first[order], second[order]], axis=1)
    ranks = np.arange(len(order))
    taken = []
    is_free = np.ones(num_points, bool)
    best = np.empty(num_points, np.int64)
    while len(ranks):
        best[:] = len(order)
        # The last assignment to an index stands: the cheapest pair of each point.
        best[ends[::-1].ravel()] = np.repeat(ranks[::-1], 2)
        # A pair that is the cheapest of both its points is taken by the sequential rule as well.
        is_best = (best[ends] == ranks[:, None]).all(axis=1)
        taken.append(ranks[is_best])
        is_free[ends[is_best].ravel()] = False
        keep = is_free[ends].all(axis=1)
        ends, ranks = ends[keep], ranks[keep]
        if sum(map(len, taken)) >= most and len(ranks):
            # Pairs above the dearest of the cheapest ``most`` taken so far are no longer needed.
            limit = np.sort(np.concatenate(taken))[most - 1]
            ends, ranks = ends[ranks < limit], ranks[ranks < limit]
    found = np.sort(np.concatenate(taken)) if taken else ranks
    return order[found[:most]]
