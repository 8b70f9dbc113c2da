"""Clock offsets of several cameras from pairwise offsets, some of which may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PairOffset:
    """The clock offset between two cameras.

    Attributes:
        first, second: indices of the cameras.
        seconds: to add to times of the second to get times of the first.
        correlation: of their signals at this offset, above 0 and at most 1.
        deviation: standard deviation of ``seconds``.
    """

    first: int
    second: int
    seconds: float
    correlation: float
    deviation: float


def agreed_offsets(
    pairs: Sequence[PairOffset], count: int, most_residual: float
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of all clocks by least squares.

    While a residual exceeds ``most_residual``, the pair with the largest is removed and the fit repeated.

    Args:
        pairs: with indices below ``count``.
        count: number of cameras.
        most_residual: seconds.

    Returns:
        ([count] seconds to add, 0 for the first camera and NaN for those not connected to it by pairs,
        [count] standard deviations).
    """
    kept = list(pairs)
    while True:
        reached = _reached(kept, count)
        used = [pair for pair in kept if pair.first in reached]
        others = sorted(reached - {0})
        offsets, deviations = np.full(count, np.nan), np.zeros(count)
        offsets[0] = 0.0
        if not used:
            return offsets, deviations
        rows = np.zeros((len(used), count))
        for row, pair in zip(rows, used, strict=True):
            row[pair.second], row[pair.first] = 1.0, -1.0
        seconds = np.array([pair.seconds for pair in used])
        weights = np.array([pair.correlation for pair in used])
        offsets[others] = np.linalg.lstsq(weights[:, None] * rows[:, others], weights * seconds, rcond=None)[
            0
        ]
        residuals = np.abs(seconds - rows @ np.nan_to_num(offsets))
        worst = int(residuals.argmax())
        if residuals[worst] > most_residual:
            kept = [pair for pair in used if pair is not used[worst]]
            continue
        for camera in others:
            own = rows[:, camera] != 0
            spread = np.average(residuals[own] ** 2, weights=weights[own])
            noise = np.array([pair.deviation for pair in used])[own] ** 2
            # Noise averages out over several pairs, which are independent estimates.
            deviations[camera] = np.sqrt(spread + noise.mean() / own.sum())
        return offsets, deviations


def _reached(pairs: Sequence[PairOffset], count: int) -> set[int]:
    """Cameras connected to the first by pairs."""
    reached = {0}
    for _ in range(count):
        for pair in pairs:
            if reached & {pair.first, pair.second}:
                reached |= {pair.first, pair.second}
    return reached
