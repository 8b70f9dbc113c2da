"""The local surface at each point of a cloud: nearest neighbours, their plane, and outliers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

# Number of neighbours for planes and extents, without the point itself.
NEIGHBOURS = 16
# The neighbour whose distance is the local scale if farther ones lie across a gap.
_NEAR = 4
# Points processed at a time, which bounds memory.
BLOCK = 65_536
# An outlier is this many times farther from its neighbours than they are from theirs. At a straight edge of a
# uniformly sampled surface the ratio is 1.4, at a corner 2.
_OUTLIER_RATIO = 3.0

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class LocalPlanes:
    """The neighbourhood of each of n points.

    Attributes:
        rows: [n, k] int32 neighbours, nearest first, without the point itself.
        near, reach: [n] distances of the fourth and of the farthest neighbour.
        normals: [n, 3] float32 unit normals of the planes, of any sign.
    """

    rows: np.ndarray
    near: np.ndarray
    reach: np.ndarray
    normals: np.ndarray


def blocks(count: int) -> Iterator[slice]:
    """Slices of ``BLOCK`` rows."""
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def local_planes(xyz: np.ndarray, report: Report) -> LocalPlanes:
    """Neighbours of points and their planes, from the eigenvectors of the covariance.

    Args:
        xyz: [n, 3] float64, n at least 3, without duplicates.
        report: called with the number of points done and the total.

    Source: Hoppe et al. 1992.
    """
    count = min(NEIGHBOURS, len(xyz) - 1)
    tree = cKDTree(xyz)
    rows = np.empty((len(xyz), count), np.int32)
    near, reach = np.empty(len(xyz)), np.empty(len(xyz))
    normals = np.empty((len(xyz), 3), np.float32)
    for part in blocks(len(xyz)):
        # Without duplicates, a point is its own first neighbour.
        distances, found = tree.query(xyz[part], k=count + 1, workers=-1)
        rows[part], reach[part] = found[:, 1:], distances[:, -1]
        near[part] = distances[:, min(_NEAR, count)]
        offsets = xyz[found] - xyz[part, None]
        normals[part] = np.linalg.eigh(_covariances(offsets))[1][:, :, 0]
        report(part.stop, len(xyz))
    return LocalPlanes(rows, near, reach, normals)


def off_surface(planes: LocalPlanes) -> np.ndarray:
    """[n] bool: outliers, much farther from their neighbours than these are from theirs."""
    around = np.empty(len(planes.reach))
    for part in blocks(len(planes.reach)):
        around[part] = np.median(planes.reach[planes.rows[part]], axis=1)
    return planes.reach > _OUTLIER_RATIO * around


def _covariances(offsets: np.ndarray) -> np.ndarray:
    """[m, 3, 3] of offsets [m, k, 3], about their mean."""
    centred = offsets - offsets.mean(axis=1, keepdims=True)
    out = np.empty((len(offsets), 3, 3))
    for i in range(3):
        for j in range(i + 1):
            out[:, i, j] = out[:, j, i] = np.einsum("mk,mk->m", centred[..., i], centred[..., j])
    return out
