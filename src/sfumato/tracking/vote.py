"""A vote of the cameras on what moves in the world."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.random_points import project
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.foreground import Foreground

# So many cameras have to have a place in their picture, or all of fewer; of fewer than the second number each
# has to see something moving there.
_LEAST_CAMERAS, _ENOUGH_CAMERAS = 3, 6
# A Gaussian moves if this share of the cameras that have it in their picture see something moving there.
_MOVING_SHARE = 0.75


def moving_rows(gaussians: Gaussians, foreground: Foreground) -> Tensor:
    """Rows [m] int64, ascending, of the Gaussians of the first step that move.

    Args:
        gaussians: n, of the first step.
        foreground: what moves in the photographs.
    """
    moves = move_by_vote(gaussians.means.double().numpy(), foreground.changing_at(0), _MOVING_SHARE)
    return torch.from_numpy(moves.nonzero()[0])


def move_by_vote(xyz: np.ndarray, masks: Iterable[tuple[Camera, Tensor | None]], share: float) -> np.ndarray:
    """Which places something moves at: those that enough cameras see where something moves in their pictures.

    Args:
        xyz: [n, 3] world frame.
        masks: of each camera, where something moves in its picture, [h, w] bool; None where nobody knows. Or
            int8: 1 where something moves, 0 where nothing does, -1 where nobody knows.
        share: of the cameras that have a place in their picture, so many have to see it move.

    Returns:
        [n] bool.
    """
    seen, moves = (np.zeros(len(xyz), np.int32) for _ in range(2))
    asked = 0
    for camera, mask in masks:
        if mask is None:
            continue
        asked += 1
        columns, rows, inside = project(camera, xyz)
        votes = mask.numpy()[rows, columns]
        seen += inside & (votes >= 0)
        moves += inside & (votes > 0)
    wanted = np.where(seen < _ENOUGH_CAMERAS, seen, share * seen)
    return (seen >= min(_LEAST_CAMERAS, asked)) & (moves > 0) & (moves >= wanted)
