"""Thinning of clouds of any size within bounded memory: the points of each grid cell are merged."""

from __future__ import annotations

import numpy as np

from sfumato.splatting.measured import MeasuredCloud, joined

# Rows collected before a merge, and points left by a merge, as multiples of the allowed number.
_GATHERED, _KEPT = 3, 2
# Bits of a cell's coordinate; three coordinates make a key of 63 bits.
_BITS = 21
# Least growth of a cell if there are too many points: a surface then has a tenth fewer.
_LEAST_GROWTH = 1.05
# 2^64 over the golden ratio, odd: the multiplier of Fibonacci hashing.
_MIXER = np.uint64(0x9E3779B97F4A7C15)


class CloudCollector:
    """Collects a cloud from pieces, with a bounded number of points.

    Up to the bound, points are kept unchanged. Beyond it, the points of each grid cell are replaced by their
    mean, weighted by the number of points each represents, and the grid becomes coarser with more points.

    Args:
        max_points: largest number of points kept; about three times as many are in memory.
    """

    def __init__(self, max_points: int) -> None:
        self._max = max_points
        self._parts: list[MeasuredCloud] = []
        self._counts: list[np.ndarray] = []
        self._rows = 0
        self.cell = 0.0

    def add(self, piece: MeasuredCloud) -> None:
        """Add points."""
        self._parts.append(piece)
        self._counts.append(np.ones(len(piece), np.float64))
        self._rows += len(piece)
        if self._rows > _GATHERED * self._max:
            self._merge(_KEPT * self._max)

    def finish(self) -> MeasuredCloud:
        """The cloud; empty if no points were added."""
        if not self._parts:
            return MeasuredCloud(np.zeros((0, 3)))
        if self._rows > self._max:
            self._merge(self._max)
        return joined(self._parts)

    def _merge(self, most: int) -> None:
        cloud, counts = joined(self._parts), np.concatenate(self._counts)
        origin = np.median(cloud.xyz, axis=0)
        self.cell = self.cell or _first_cell(cloud.xyz, origin, most)
        keys = _keys(cloud.xyz, origin, self.cell)
        while (cells := len(np.unique(keys))) > most:
            self.cell *= max(_LEAST_GROWTH, np.sqrt(cells / most))
            keys = _keys(cloud.xyz, origin, self.cell)
        cloud, counts = merged_by(keys, cloud, counts)
        self._parts, self._counts, self._rows = [cloud], [counts], len(cloud)


def merged_by(
    keys: np.ndarray, cloud: MeasuredCloud, counts: np.ndarray | None = None
) -> tuple[MeasuredCloud, np.ndarray]:
    """Replace the points of each key by their mean.

    Args:
        keys: [n] int64.
        cloud: n points.
        counts: [n] float64 number of points each represents; None: one.

    Returns:
        The points, by ascending key, and their counts.
    """
    counts = np.ones(len(cloud)) if counts is None else counts
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    weights = counts[order]
    sums = np.add.reduceat(weights, starts)
    columns = {}
    for name, column in cloud.columns().items():
        # Sums of positions relative to one of them, as sums of map coordinates would lose precision.
        base = column[order[0]] if name == "xyz" else column.dtype.type(0)
        weighted = (column[order] - base) * weights[:, None]
        mean = np.add.reduceat(weighted, starts, axis=0) / sums[:, None] + base
        columns[name] = mean.astype(column.dtype)
    return cloud.with_columns(columns), sums


def without_copies(cloud: MeasuredCloud) -> MeasuredCloud:
    """The cloud with points at identical positions merged, in the order of first occurrence."""
    # Adding 0.0 makes -0.0 equal to 0.0.
    bits = np.ascontiguousarray(cloud.xyz + 0.0).view(np.uint64)
    hashes = np.zeros(len(bits), np.uint64)
    for axis in range(3):
        hashes = (hashes ^ bits[:, axis]) * _MIXER
        hashes ^= hashes >> np.uint64(32)
    ascending = np.sort(hashes)
    if (ascending[1:] != ascending[:-1]).all():
        return cloud
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    ranks = np.empty(len(first), np.int64)
    ranks[np.argsort(first)] = np.arange(len(first))
    return merged_by(ranks[inverse], cloud)[0]


def _keys(xyz: np.ndarray, origin: np.ndarray, cell: float) -> np.ndarray:
    """[n] int64 keys of the cells of points; points outside the grid are assigned to its border cells."""
    half = 2 ** (_BITS - 1)
    at = np.clip(np.floor((xyz - origin) / cell) + half, 0, 2 * half - 1).astype(np.int64)
    return (at[:, 0] << 2 * _BITS) | (at[:, 1] << _BITS) | at[:, 2]


def _first_cell(xyz: np.ndarray, origin: np.ndarray, most: int) -> float:
    """A cell size for which the points occupy at most ``most`` cells, on a surface more than a quarter."""
    # Percentiles, so that outliers do not determine the extent.
    low, high = np.percentile(xyz, (1, 99), axis=0)
    extent = float((high - low).max()) or float(np.ptp(xyz, axis=0).max()) or 1.0
    least = np.finfo(np.float64).eps * max(extent, float(np.abs(origin).max()))
    # A plane of this extent occupies a sixteenth of the allowed cells.
    cell = 4 * extent / np.sqrt(most)
    while cell / 2 > least and len(np.unique(_keys(xyz, origin, cell / 2))) <= most:
        cell /= 2
    return cell
