"""Vector quantisation by k-means: codebooks of single numbers and palettes of rows.

The same input gives the same result: random numbers come from a fixed seed.
"""

from __future__ import annotations

import heapq
import itertools

import numpy as np

CODEBOOK = 256
_LINE_ROUNDS = 100
_COARSE_ROUNDS, _FINE_ROUNDS, _WIDE_ROUNDS = 6, 4, 2
# Mean number of palette entries per coarse cluster, and number of clusters searched for the nearest entry.
_ROWS_OF_CLUSTER, _NEIGHBOURS = 256, 4
_SAMPLE_OF_CLUSTER = 128
# Number of distances in memory at a time.
_MOST_DISTANCES = 8 * 1024 * 1024


def codebook(numbers: np.ndarray) -> np.ndarray:
    """256 values that approximate numbers in least squares.

    Args:
        numbers: any shape, finite.

    Returns:
        [256] float32, ascending.
    """
    ordered = np.sort(numbers, axis=None).astype(np.float64)
    if not len(ordered):
        return np.zeros(CODEBOOK, np.float32)
    middle = ordered[len(ordered) // 2]
    ordered -= middle
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    ends = _split(ordered, sums)
    book = np.diff(sums[ends]) / np.diff(ends)
    for _ in range(_LINE_ROUNDS):
        ends = np.concatenate([[0], np.searchsorted(ordered, (book[1:] + book[:-1]) / 2), [len(ordered)]])
        counts = np.diff(ends)
        moved = np.where(counts > 0, np.diff(sums[ends]) / np.maximum(counts, 1), book)
        if np.array_equal(moved, book):
            break
        book = moved
    book = np.sort(book + middle).astype(np.float32)
    return np.pad(book, (0, CODEBOOK - len(book)), mode="edge")


def _split(ordered: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Borders of up to 256 cells of sorted numbers: the cell with the largest error is split each time."""
    squares = np.concatenate([[0.0], np.cumsum(np.square(ordered))])

    def error(start: int, end: int) -> float:
        return squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start)

    cells = [(-error(0, len(ordered)), 0, len(ordered))]
    while len(cells) < CODEBOOK:
        _, start, end = heapq.heappop(cells)
        if ordered[start] == ordered[end - 1]:
            heapq.heappush(cells, (0.0, start, end))
            break
        mean = (sums[end] - sums[start]) / (end - start)
        at = start + int(np.searchsorted(ordered[start:end], mean))
        at = min(max(at, start + 1), end - 1)
        for a, b in ((start, at), (at, end)):
            # Equal numbers have no error, except by rounding.
            heapq.heappush(cells, (-error(a, b) if ordered[a] < ordered[b - 1] else 0.0, a, b))
    return np.array([0, *sorted(end for _, _, end in cells)])


def nearest_in(book: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """uint8 index of the nearest entry of an ascending codebook for each number."""
    return np.searchsorted((book[1:] + book[:-1]) / 2, numbers).astype(np.uint8)


def palette(rows: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A palette of few rows that approximates many.

    Two steps: coarse clusters, each with a palette in proportion to its content; then the nearest entry
    of every row is searched in the palettes of a few nearby clusters.

    Args:
        rows: [n, d] float32.
        size: maximum number of entries, at least 1.

    Returns:
        [m, d] float32 palette, m <= size, and [n] int64 indices into it.
    """
    if len(rows) <= size:
        return rows, np.arange(len(rows))
    random = np.random.default_rng(0)
    num_clusters = max(1, size // _ROWS_OF_CLUSTER)
    sample = rows[np.sort(random.permutation(len(rows))[: num_clusters * _SAMPLE_OF_CLUSTER])]
    coarse = _lloyd(sample, sample[random.permutation(len(sample))[:num_clusters]], _COARSE_ROUNDS)
    cluster = _nearest(coarse, rows)
    order = np.argsort(cluster, kind="stable")
    ends = np.searchsorted(cluster[order], np.arange(len(coarse) + 1))
    groups = [order[a:b] for a, b in itertools.pairwise(ends) if b > a]
    entries = []
    for group, share in zip(groups, _entry_counts(rows, groups, size), strict=True):
        inside = rows[group]
        first = inside[np.sort(random.permutation(len(inside))[:share])]
        entries.append(_lloyd(inside, first, _FINE_ROUNDS) if share < len(inside) else inside)
    return _widened(rows, groups, entries)


def _entry_counts(rows: np.ndarray, groups: list[np.ndarray], size: int) -> np.ndarray:
    """[groups] number of palette entries of each: more where rows vary more."""
    counts = np.array([len(group) for group in groups])
    spread = np.array([float(rows[group].var(axis=0).sum()) for group in groups])
    weight = (counts * np.maximum(spread, 1e-12)) ** (rows.shape[1] / (rows.shape[1] + 2))
    shares = np.ones(len(groups), np.int64)
    # Entries beyond the size of a small cluster are distributed over the others.
    for _ in range(16):
        left = size - shares.sum()
        has_room = shares < counts
        if left <= 0 or not has_room.any():
            break
        extra = np.floor(left * weight * has_room / (weight * has_room).sum()).astype(np.int64)
        if not extra.any():
            break
        shares = np.minimum(shares + extra, counts)
    return shares


def _widened(
    rows: np.ndarray, groups: list[np.ndarray], entries: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The palette of all groups, refined across their borders, and the index of each row."""
    centres = np.stack([entry.mean(axis=0) for entry in entries])
    near = [_few_nearest(centres, centre) for centre in centres]
    starts = np.cumsum([0, *(len(entry) for entry in entries)])
    entry_rows = [np.arange(a, b) for a, b in itertools.pairwise(starts)]
    whole = np.concatenate(entries)
    labels = np.empty(len(rows), np.int64)
    for iteration in range(_WIDE_ROUNDS + 1):
        for group, around in zip(groups, near, strict=True):
            among = np.concatenate([entry_rows[i] for i in around])
            labels[group] = among[_nearest(whole[among], rows[group])]
        if iteration < _WIDE_ROUNDS:
            whole = _means(rows, labels, whole)
    return whole, labels


def _few_nearest(centres: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.argsort(np.square(centres - centre).sum(axis=1), kind="stable")[:_NEIGHBOURS]


def _lloyd(rows: np.ndarray, entries: np.ndarray, rounds: int) -> np.ndarray:
    """Entries [m, d] moved to the means of the rows [n, d] that are nearest to them."""
    for _ in range(rounds):
        entries = _means(rows, _nearest(entries, rows), entries)
    return entries


def _nearest(entries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[n] index of the nearest entry of each row."""
    halves = np.square(entries).sum(axis=1) / 2
    block = max(1, _MOST_DISTANCES // len(entries))
    labels = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), block):
        part = rows[start : start + block] @ entries.T
        np.subtract(halves, part, out=part)
        labels[start : start + block] = part.argmin(axis=1)
    return labels


def _means(rows: np.ndarray, labels: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Mean of the rows of each label; an entry without rows is unchanged."""
    # Imported on first use: it is slow, and only writing needs it.
    from scipy.sparse import csr_matrix

    counts = np.bincount(labels, minlength=len(entries))
    where = (np.ones(len(rows), np.float32), labels, np.arange(len(rows) + 1))
    # Row i of this matrix has its one at the label of row i.
    sums = csr_matrix(where, shape=(len(rows), len(entries))).T @ rows
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], entries).astype(np.float32)
