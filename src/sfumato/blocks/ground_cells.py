"""The ground plane of a scene, and the cells that it is cut into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfumato.capture.dataset import View
from sfumato.paths.orbit import orbit_of_cameras, side_of

# Width of the overlap on either side of a cut, as a share of the cell's own extent.
OVERLAP = 0.06
# Extents are those between these quantiles, as few pixels show the far distance.
_TAIL = 0.02


@dataclass(frozen=True)
class GroundPlane:
    """The ground plane.

    Attributes:
        axes: [2, 3] two orthogonal unit vectors in it, world frame.
    """

    axes: np.ndarray

    def of(self, points: np.ndarray) -> np.ndarray:
        """[n, 2] coordinates on the ground of points [n, 3], scene units."""
        return points.astype(np.float64) @ self.axes.T


@dataclass(frozen=True)
class GroundCell:
    """A rectangle on the ground, without a bound where no other cell follows.

    Attributes:
        low, high: [2] bounds of the core, in which the cell's Gaussians are kept; infinite without a bound.
        margin: [2] width of the overlap beyond the core, on each axis.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    margin: tuple[float, float] = (0.0, 0.0)

    def holds(self, places: np.ndarray) -> np.ndarray:
        """[n] bool: whether places [n, 2] on the ground lie in the core."""
        return _within(places, np.asarray(self.low), np.asarray(self.high))

    def reaches(self, places: np.ndarray) -> np.ndarray:
        """[n] bool: whether they lie in the core or in the overlap."""
        margin = np.asarray(self.margin)
        return _within(places, np.asarray(self.low) - margin, np.asarray(self.high) + margin)


def _within(places: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.all((places >= low) & (places < high), axis=1)


def ground_of(views: Sequence[View], points: np.ndarray) -> GroundPlane:
    """The plane that level cameras stand on, with the longest extent of the points as its first axis.

    Args:
        views: one or more.
        points: [n, 3] world frame, what the views see; may be empty.
    """
    up = orbit_of_cameras([view.camera for view in views]).up
    side = side_of(up)
    plane = GroundPlane(np.stack([side, np.cross(up, side)]))
    places = plane.of(points)
    if len(places) < 3:
        return plane
    low, high = np.quantile(places, [_TAIL, 1 - _TAIL], axis=0)
    inner = places[((places >= low) & (places <= high)).all(axis=1)]
    if len(inner) < 3:
        return plane
    _, vectors = np.linalg.eigh(np.cov(inner.T))
    axes = vectors.T[::-1] @ plane.axes
    # The sign of an eigenvector is arbitrary; the largest component is made positive.
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])
    return GroundPlane(axes * signs[:, None])


def cut(places: np.ndarray, count: int) -> list[GroundCell]:
    """Cut the ground into cells that hold equally many places, by a k-d tree.

    Each part is cut across its longer extent, so that the halves are to places as to cells.

    Args:
        places: [n, 2] on the ground, one for each pixel that is to count.
        count: number of cells, at least 1.

    Returns:
        Cells that cover the plane without gaps. Without places all but the last are empty.
    """
    whole = GroundCell((-math.inf, -math.inf), (math.inf, math.inf))
    return [_with_margin(cell, inside) for cell, inside in _cut(whole, places, count)]


def _cut(cell: GroundCell, places: np.ndarray, count: int) -> list[tuple[GroundCell, np.ndarray]]:
    if count == 1:
        return [(cell, places)]
    first = count // 2
    axis = int(np.argmax(_extent(places)))
    line = float(np.quantile(places[:, axis], first / count)) if len(places) else _anywhere(cell, axis)
    is_first = places[:, axis] < line
    below = GroundCell(cell.low, _replaced(cell.high, axis, line))
    above = GroundCell(_replaced(cell.low, axis, line), cell.high)
    return [*_cut(below, places[is_first], first), *_cut(above, places[~is_first], count - first)]


def _extent(places: np.ndarray) -> np.ndarray:
    """[2] extent on each axis without the far distance, scene units."""
    if not len(places):
        return np.zeros(2)
    low, high = np.quantile(places, [_TAIL, 1 - _TAIL], axis=0)
    return high - low


def _with_margin(cell: GroundCell, places: np.ndarray) -> GroundCell:
    wide, deep = (OVERLAP * _extent(places)).tolist()
    return GroundCell(cell.low, cell.high, (wide, deep))


def _anywhere(cell: GroundCell, axis: int) -> float:
    """A line through a cell in which nothing lies."""
    low, high = cell.low[axis], cell.high[axis]
    if math.isfinite(low) and math.isfinite(high):
        return (low + high) / 2
    return low if math.isfinite(low) else high if math.isfinite(high) else 0.0


def _replaced(pair: tuple[float, float], axis: int, value: float) -> tuple[float, float]:
    return (value, pair[1]) if axis == 0 else (pair[0], value)
