"""Nearest neighbours among points, with weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.checks import check_finite, check_shapes


class Neighbours(NamedTuple):
    """The nearest neighbours of each point.

    Attributes:
        rows: [n, k] int32, nearest first, ties by row; -1 where there are fewer than k other points.
        weights: [n, k], a Gaussian of the distance; those of a point sum to 1. 0 for row -1.
        distances: [n, k], 0 for row -1.
    """

    rows: Tensor
    weights: Tensor
    distances: Tensor


def near_neighbours(points: Tensor, count: int) -> Neighbours:
    """Find the nearest neighbours of each point among the others.

    Args:
        points: [n, 3].
        count: k, the number of neighbours per point.

    Returns:
        Neighbours, in the dtype and on the device of the points. Weights are exp(-d^2 / (2 m)) over their
        sum, with m the median of all d^2; equal weights where m is 0.

    Raises:
        ShapeError: the points have another shape.
        ConfigError: the points contain NaN or infinity.

    Source: Luiten et al. 2024, whose weights are exp(-2000 d^2) with d in metres.
    """
    n = check_shapes(points=(points, "n 3"))["n"]
    check_finite("points", points)
    found = min(count, n - 1)
    rows, distances, weights = torch.full((n, count), -1), *torch.zeros(2, n, count, dtype=torch.float64)
    if found > 0:
        rows[:, :found], distances[:, :found] = map(torch.from_numpy, _nearest(points, found))
        squared = distances[:, :found].square()
        median = squared.median()
        weights[:, :found] = torch.softmax(-squared / (2 * median if median > 0 else torch.inf), dim=1)
    return Neighbours(rows.to(points.device, torch.int32), weights.to(points), distances.to(points))


def _nearest(points: Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and distances of the neighbours of each point, without the point itself."""
    xyz = points.detach().cpu().double().numpy()
    # A list of ranks keeps the column axis even for a single neighbour.
    distances, rows = cKDTree(xyz).query(xyz, k=np.arange(1, count + 2), workers=-1)
    # Among coincident points the query may list the point itself in any column, or not at all: it is sorted
    # to the end, which is cut off.
    distances[rows == np.arange(len(xyz))[:, None]] = np.inf
    order = np.lexsort((rows, distances), axis=1)[:, :count]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(distances, order, 1)
