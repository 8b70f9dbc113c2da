"""Comparison of the tracks of a scene with true tracks."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.multiview.number_arrays import read_numbers
from sfumato.capture.offset import Offset
from sfumato.errors import CaptureError
from sfumato.tracking.tracked_scene import TrackedScene

# Metres: distances within which a point counts for delta, and beyond which a track is lost.
_WITHIN_M, _LOST_M = (0.01, 0.02, 0.04, 0.08, 0.16), 0.5


def find_true_tracks(folder: Path, offset: Offset) -> Tensor | None:
    """The true tracks of a dataset: ``points`` [t, p, 3] in metres of its ``tracks.npz``.

    If the file has the ``object`` number [p] of each point, points of object 0, which is static, are left
    out.

    Args:
        folder: of the dataset.
        offset: of the scene's frame from the dataset's.

    Returns:
        [t, p, 3] float32, frame of the scene; NaN where a point does not exist. None if there is no file.

    Raises:
        CaptureError: the file is damaged.
    """
    path = folder / "tracks.npz"
    if not path.is_file():
        return None
    points = read_numbers(path, lambda shape: len(shape) == 3 and shape[2] == 3, "points")
    with suppress(CaptureError):
        points = points[:, read_numbers(path, lambda shape: shape == points.shape[1:2], "object") != 0]
    return torch.from_numpy((points - np.array(offset)).astype(np.float32))


def track_errors(scene: TrackedScene, true: Tensor) -> dict[str, object]:
    """Errors of the tracks of a scene; each point is tracked from the first step at which it exists.

    Args:
        scene: of a run with the steps of the true tracks, or the first of them.
        true: [t, p, 3] as of ``find_true_tracks``.

    Returns:
        ``mte`` median distance over a track, mean over tracks, metres; ``delta`` mean share of positions
        within 1, 2, 4, 8 and 16 cm; ``survival`` mean share of a track before the first error over half a
        metre; ``unit``; ``count`` of tracks. The first step of a track is not counted.

    Source: Luiten et al. 2024, section 4.2.
    """
    points = true[: scene.num_steps]
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
        # Where the Gaussian does not exist, the error is infinite.
        track = errors[after[:, number], number].nan_to_num(math.inf)
        medians.append(float(track.median().clamp(max=_LOST_M)))
        within.append(fmean(float((track <= limit).float().mean()) for limit in _WITHIN_M))
        lost = torch.nonzero(track > _LOST_M)
        survived.append(float(lost[0]) / len(track) if len(lost) else 1.0)
    if not medians:
        return {"mte": None, "delta": None, "survival": None, "unit": "m", "count": 0}
    means = {"mte": fmean(medians), "delta": fmean(within), "survival": fmean(survived)}
    return {**means, "unit": "m", "count": len(medians)}
