"""Quantisation warnings: outliers that coarsen a format's steps, and the Gaussians affected."""

from __future__ import annotations

import logging

import numpy as np

# Fraction of the Gaussians that may be treated as outliers and moved closer.
FAR_SHARE = 1 / 50
# A displacement by more than this fraction of a Gaussian's size is visible.
_SEEN = 0.5

_log = logging.getLogger(__name__)


def typical_log_size(log_scales: np.ndarray) -> float:
    """The median over Gaussians of the largest of their log scales [n, 3]; 0 without Gaussians."""
    return float(np.median(log_scales.max(axis=1))) if len(log_scales) else 0.0


def moved_closer(arrays: dict[str, np.ndarray], reach: float) -> tuple[dict[str, np.ndarray], int]:
    """Move Gaussians beyond a reach closer and scale them down in proportion.

    As seen from the scene's centre, their direction and apparent size are unchanged.

    Args:
        arrays: with means [n, 3] and log_scales [n, 3], float32; not changed.
        reach: the largest allowed coordinate; that of the scene's centre must be smaller.

    Returns:
        The arrays, and how many Gaussians were moved.
    """
    means = arrays["means"]
    beyond = np.flatnonzero((np.abs(means) > reach).any(axis=1))
    if not len(beyond):
        return arrays, 0
    centre = np.median(means.astype(np.float64), axis=0)
    away = means[beyond].astype(np.float64) - centre
    factor = (reach - np.abs(centre).max()) / np.abs(away).max(axis=1, keepdims=True)
    means, log_scales = means.copy(), arrays["log_scales"].copy()
    means[beyond] = centre + factor * away
    log_scales[beyond] += np.log(factor)
    return arrays | {"means": means, "log_scales": log_scales}, len(beyond)


def usual_reach(means: np.ndarray) -> float:
    """Twice the extent of all Gaussians except outliers (``FAR_SHARE``); means are [n, 3], n > 0."""
    extents = np.sort(np.abs(means).max(axis=1).astype(np.float64))
    return 2 * float(extents[len(extents) - 1 - int(FAR_SHARE * len(extents))])


def warn_of_moved_closer(count: int, total: int, reach: float, what: str) -> None:
    """Warn that Gaussians were moved closer.

    Args:
        count: number of them.
        total: number of all Gaussians.
        reach: their largest coordinate now, scene units.
        what: name of the format.
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
    # Rounding to float32 alone is not counted.
    return int(np.count_nonzero((by > _SEEN * sizes) & (by > np.spacing(np.abs(given).max(axis=1)))))


def warn_of_moved(count: int, total: int, what: str) -> None:
    """Warn that Gaussians are moved visibly.

    Args:
        count: number of them.
        total: number of all Gaussians.
        what: name of the format.
    """
    if count:
        _log.warning(
            "%d of %d Gaussians are moved by more than half their size by the steps of %s; keep a .ply, or "
            "move and scale the scene to a few units around the origin with sfumato edit",
            *(count, total, what),
        )
