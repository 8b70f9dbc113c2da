"""Quantisation warnings: outliers that coarsen a format's steps, and the Gaussians affected."""

from __future__ import annotations

import logging

import numpy as np

# Share of the Gaussians that may be treated as outliers and brought nearer.
FAR_SHARE = 1 / 50
# A displacement by more than this share of a Gaussian's size is visible.
_SEEN = 0.5

_log = logging.getLogger(__name__)


def typical_log_size(log_scales: np.ndarray) -> float:
    """The median of the Gaussians' largest log scales [n, 3]; 0 where there are none."""
    return float(np.median(log_scales.max(axis=1))) if len(log_scales) else 0.0


def brought_nearer(arrays: dict[str, np.ndarray], reach: float) -> tuple[dict[str, np.ndarray], int]:
    """Move Gaussians beyond a reach nearer and make them smaller in proportion.

    Seen from the scene's middle their direction and apparent size are unchanged.

    Args:
        arrays: with means [n, 3] and log_scales [n, 3], float32; not changed.
        reach: the largest allowed coordinate; the scene's middle is nearer.

    Returns:
        The arrays, and how many Gaussians were moved.
    """
    means = arrays["means"]
    beyond = np.flatnonzero((np.abs(means) > reach).any(axis=1))
    if not len(beyond):
        return arrays, 0
    middle = np.median(means.astype(np.float64), axis=0)
    away = means[beyond].astype(np.float64) - middle
    factor = (reach - np.abs(middle).max()) / np.abs(away).max(axis=1, keepdims=True)
    means, log_scales = means.copy(), arrays["log_scales"].copy()
    means[beyond] = middle + factor * away
    log_scales[beyond] += np.log(factor)
    return arrays | {"means": means, "log_scales": log_scales}, len(beyond)


def usual_reach(means: np.ndarray) -> float:
    """Twice the extent of all Gaussians but the outliers (``FAR_SHARE``); means are [n, 3], n > 0."""
    extents = np.sort(np.abs(means).max(axis=1).astype(np.float64))
    return 2 * float(extents[len(extents) - 1 - int(FAR_SHARE * len(extents))])


def warn_of_nearer(count: int, total: int, reach: float, what: str) -> None:
    """Warn that Gaussians were brought nearer.

    Args:
        count: of them.
        total: of all.
        reach: how far they are now, scene units.
        what: the format.
    """
    if count:
        _log.warning(
            "%d of %d Gaussians lie so far away that %s would round the others: they are brought to %.3g, "
            "smaller in proportion",
            *(count, total, what, reach),
        )


def moved(given: np.ndarray, stored: np.ndarray, log_scales: np.ndarray) -> int:
    """Number of Gaussians that a format's quantisation moves visibly.

    Args:
        given: [n, 3] positions.
        stored: [n, 3] as they are read again.
        log_scales: [n, 3].
    """
    with np.errstate(over="ignore"):
        sizes = np.exp(log_scales.max(axis=1).astype(np.float64))
    by = np.abs(stored.astype(np.float64) - given).max(axis=1)
    # Not counting the rounding to float32.
    return int(np.count_nonzero((by > _SEEN * sizes) & (by > np.spacing(np.abs(given).max(axis=1)))))


def warn_of_moved(count: int, total: int, what: str) -> None:
    """Warn that Gaussians are moved visibly.

    Args:
        count: of them.
        total: of all.
        what: the format.
    """
    if count:
        _log.warning(
            "%d of %d Gaussians are moved by more than half their size by the steps of %s; keep a .ply, or "
            "move and scale the scene to a few units around the origin with sfumato edit",
            *(count, total, what),
        )
