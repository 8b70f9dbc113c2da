"""Votes of the cameras on which positions in the world move."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.random_points import project
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.foreground import Foreground

# Least number of cameras that must observe a position, or all if there are fewer; if fewer than the second
# number observe it, all of these must see something moving there.
_LEAST_CAMERAS, _ENOUGH_CAMERAS = 3, 6
# A Gaussian moves if something moves there for this share of the cameras that observe it.
MOVING_SHARE = 0.75
# What is at rest in the first step and moves later looks different at two of these shares of the time, one
# after the other; a surface that something passes over does so at one.
_LATER = (0.5, 0.75, 1.0)


def moving_rows(gaussians: Gaussians, foreground: Foreground) -> Tensor:
    """Rows [m] int64, ascending, of the Gaussians of the first step that move.

    Args:
        gaussians: n, of the first step.
        foreground: moving areas of the photographs.
    """
    moves = move_sometime(gaussians.means.double().numpy(), foreground, MOVING_SHARE)
    return torch.from_numpy(moves.nonzero()[0])


def move_sometime(xyz: np.ndarray, foreground: Foreground, share: float) -> np.ndarray:
    """Which positions of the first step move, at that step or later.

    A surface on which something stands for long later counts too, as cameras cannot tell.

    Args:
        xyz: [n, 3] world frame.
        foreground: moving areas of the photographs.
        share: see ``move_by_vote``.

    Returns:
        [n] bool.
    """
    moves = move_by_vote(xyz, foreground.changing_at(0), share)
    later = [move_by_vote(xyz, foreground.changed_by(moment), share) for moment in _LATER]
    for one, next_one in pairwise(later):
        moves |= one & next_one
    return moves


def move_by_vote(xyz: np.ndarray, masks: Iterable[tuple[Camera, Tensor | None]], share: float) -> np.ndarray:
    """Which positions move: those that project to moving pixels in enough cameras.

    Args:
        xyz: [n, 3] world frame.
        masks: for each camera [h, w] bool, where something moves in its image; None: unknown. Or int8: 1
            where something moves, 0 where nothing does, -1 where it is unknown.
        share: least share of the cameras observing a position that must see it move.

    Returns:
        [n] bool.
    """
    seen, moves = (np.zeros(len(xyz), np.int32) for _ in range(2))
    voting = 0
    for camera, mask in masks:
        if mask is None:
            continue
        voting += 1
        columns, rows, inside = project(camera, xyz)
        votes = mask.numpy()[rows, columns]
        seen += inside & (votes >= 0)
        moves += inside & (votes > 0)
    wanted = np.where(seen < _ENOUGH_CAMERAS, seen, share * seen)
    return (seen >= min(_LEAST_CAMERAS, voting)) & (moves > 0) & (moves >= wanted)
