"""Which Gaussians belong to which process: parts of space with equal numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def divided_by_place(means: Tensor, count: int) -> list[Tensor]:
    """Divide Gaussians by place: the longest side of each part is halved, like a k-d tree.

    A view sees mostly neighbouring Gaussians, so that few of them lie in other processes.

    Args:
        means: [n, 3].
        count: number of parts.

    Returns:
        For each part the ascending int64 rows of its Gaussians; their numbers differ by at most one for a
        power of two, and by few otherwise.
    """
    return _halved(means.detach().cpu().double().numpy(), np.arange(len(means)), count)


def _halved(means: np.ndarray, rows: np.ndarray, count: int) -> list[Tensor]:
    if count == 1:
        return [torch.from_numpy(np.sort(rows))]
    # Far outliers must not decide which side is the longest.
    low, high = np.quantile(means[rows], (0.05, 0.95), axis=0) if len(rows) else (np.zeros(3), np.zeros(3))
    axis, first = int(np.argmax(high - low)), count // 2
    order = rows[np.argsort(means[rows, axis], kind="stable")]
    border = len(rows) * first // count
    return _halved(means, order[:border], first) + _halved(means, order[border:], count - first)


def renderers(visible: np.ndarray) -> list[int]:
    """The process that renders each view: as far as possible the one that holds most of what it shows.

    Args:
        visible: [processes, views] number of Gaussians of each process that may touch each view.

    Returns:
        One per view; no process has more than its share of the views, rounded up.
    """
    # Imported here, as it is slow to load.
    from scipy.optimize import linear_sum_assignment

    processes, views = visible.shape
    slots = -(-views // processes)
    rows, columns = linear_sum_assignment(np.repeat(visible, slots, axis=0), maximize=True)
    of_view = dict(zip(columns.tolist(), (rows // slots).tolist(), strict=True))
    return [of_view[view] for view in range(views)]
