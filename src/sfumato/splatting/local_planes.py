"""The surface around each point of a cloud: its nearest neighbours, their plane, and what lies off it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

# Neighbours of a point that its plane and its extents are found from, beside the point itself.
NEIGHBOURS = 16
# Which of them tells how near the others are where the farther ones lie across a gap.
_NEAR = 4
# Points whose neighbours lie in memory at a time, as positions.
BLOCK = 65_536
# A point this many times farther from its neighbours than they are from theirs is off the surface. On a
# straight edge of an even surface it is 1.4, at a corner 2.
_OUTLIER_RATIO = 3.0

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class LocalPlanes:
    """The neighbourhood of each of n points.

    Attributes:
        rows: [n, k] int32 neighbours, the nearest first, the point itself left out.
        near, reach: [n] distances of the fourth and of the farthest of them.
        normals: [n, 3] float32 unit vectors across the plane of the neighbours, of any sign.
    """

    rows: np.ndarray
    near: np.ndarray
    reach: np.ndarray
    normals: np.ndarray


def blocks(count: int) -> Iterator[slice]:
    """Slices of ``BLOCK`` rows."""
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def local_planes(xyz: np.ndarray, report: Report) -> LocalPlanes:
    """Neighbours of points and the planes through them, the eigenvectors of their covariance.

    Args:
        xyz: [n, 3] float64, n at least 3; no two in one place.
        report: called with how many are done, and how many there are.

    Source: Hoppe et al. 1992.
    """
    count = min(NEIGHBOURS, len(xyz) - 1)
    tree = cKDTree(xyz)
    rows = np.empty((len(xyz), count), np.int32)
    near, reach = np.empty(len(xyz)), np.empty(len(xyz))
    normals = np.empty((len(xyz), 3), np.float32)
    for part in blocks(len(xyz)):
        # In one place with no other, a point is the first of its own neighbours.
        distances, found = tree.query(xyz[part], k=count + 1, workers=-1)
        rows[part], reach[part] = found[:, 1:], distances[:, -1]
        near[part] = distances[:, min(_NEAR, count)]
        offsets = xyz[found] - xyz[part, None]
        normals[part] = np.linalg.eigh(_covariances(offsets))[1][:, :, 0]
        report(part.stop, len(xyz))
    return LocalPlanes(rows, near, reach, normals)


def off_surface(planes: LocalPlanes) -> np.ndarray:
    """[n] bool: the points that are much farther from their neighbours than those are from theirs."""
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
