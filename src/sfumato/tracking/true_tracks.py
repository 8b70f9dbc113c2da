"""Points whose true tracks are known, against the tracks of a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.multiview.npy_files import read_npy
from sfumato.tracking.following import TrackedScene

# Metres: distances within which a point counts for delta, and beyond which a track is lost.
_WITHIN_M, _LOST_M = (0.01, 0.02, 0.04, 0.08, 0.16), 0.5


@dataclass(frozen=True)
class TrueTracks:
    """Points followed in truth.

    Attributes:
        points: [t, p, 3] world frame, metres; NaN where a point does not exist.
    """

    points: Tensor

    @classmethod
    def find(cls, folder: Path) -> TrueTracks | None:
        """Those of a dataset, from its ``tracks.npz``: ``points`` [t, p, 3] in metres, and the number of the
        ``object`` [p] that each is on; number 0 stands still, and is left out. None without such a file.

        Raises:
            CaptureError: the file is damaged.
        """
        path = folder / "tracks.npz"
        if not folder.is_dir() or not path.exists():
            return None
        points = read_npy(path, lambda shape: len(shape) == 3 and shape[2] == 3, "points")
        numbers = read_npy(path, lambda shape: shape == points.shape[1:2], "object")
        return cls(torch.from_numpy(points[:, numbers != 0].astype(np.float32)))


def track_errors(scene: TrackedScene, true: TrueTracks) -> dict[str, object]:
    """How far tracks of a scene are from the truth; each point is followed from the first step it exists at.

    Args:
        scene: of a run that has the steps of the true tracks, or their beginning.
        true: the truth.

    Returns:
        ``mte`` median distance over a track, mean over tracks, metres; ``delta`` mean share of positions
        within 1, 2, 4, 8 and 16 cm; ``survival`` mean share of a track before the first error over half a
        metre; ``unit``; ``count`` of tracks. The step that a point is followed from counts nowhere.

    Source: Luiten et al. 2024, section 4.2.
    """
    points = true.points[: scene.num_steps]
    exists = points.isfinite().all(dim=2)
    lasting = exists.sum(0) > 1
    points, exists = points[:, lasting], exists[:, lasting]
    first = exists.int().argmax(0)
    errors = torch.full(points.shape[:2], torch.nan)
    for step in first.unique().tolist():
        chosen = torch.nonzero(first == step)[:, 0]
        found = scene.track(points[step, chosen], step)
        errors[:, chosen] = (found - points[:, chosen]).norm(dim=2)
    after = exists & (torch.arange(len(points))[:, None] > first)
    medians, within, survived = [], [], []
    for number in range(points.shape[1]):
        # A Gaussian that does not exist is as far away as can be.
        track = errors[after[:, number], number].nan_to_num(math.inf)
        medians.append(float(track.median().clamp(max=_LOST_M)))
        within.append(fmean(float((track <= limit).float().mean()) for limit in _WITHIN_M))
        lost = torch.nonzero(track > _LOST_M)
        survived.append(float(lost[0]) / len(track) if len(lost) else 1.0)
    if not medians:
        return {"mte": None, "delta": None, "survival": None, "unit": "m", "count": 0}
    means = {"mte": fmean(medians), "delta": fmean(within), "survival": fmean(survived)}
    return {**means, "unit": "m", "count": len(medians)}
