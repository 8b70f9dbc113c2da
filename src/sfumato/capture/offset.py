"""Captures far from the origin, as in map coordinates, where float32 is too coarse for positions."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import floor, log10
from pathlib import Path

import numpy as np

from sfumato.capture.depth import median_depth
from sfumato.capture.readers import PosedDataset

_log = logging.getLogger("sfumato")

# Relative tolerance for cameras at one position, which differ by rounding.
_SAME_PLACE = 1e-9
# Beyond this ratio the rounding of float32 exceeds a twentieth of a pixel of an ordinary photograph.
_FAR_OFF = 1000.0

Offset = tuple[float, float, float]


def near_origin(source: PosedDataset, path: Path) -> tuple[PosedDataset, Offset]:
    """The dataset with its cameras near the origin, and the offset that was subtracted.

    A dataset is shifted, by round numbers, only if its cameras are more than a thousand times farther from
    the origin than from the scene.

    Args:
        source: as read, in float64.
        path: of the dataset, for the warning.

    Returns:
        The source, with float32 points, and the offset (0, 0, 0 if it was not shifted): a position in the
        dataset's frame is the one in the new frame plus the offset.
    """
    poses = np.stack([frame.camera_from_world for frame in source.frames])
    centres = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])
    centre, points = np.median(centres, axis=0), source.points
    spread = np.linalg.norm(centres - centre, axis=1).max()
    depth = median_depth(poses, points.xyz) if points is not None else spread
    offset, away = np.zeros(3), np.linalg.norm(centre)
    if away > _FAR_OFF * depth and depth > _SAME_PLACE * away:
        offset = rounded(centre, depth)
        poses = poses.copy()
        poses[:, :3, 3] += poses[:, :3, :3] @ offset
        frames = zip(source.frames, poses, strict=True)
        source = replace(source, frames=tuple(replace(f, camera_from_world=pose) for f, pose in frames))
        _log.warning(
            "%s: the cameras stand around (%s), too far from the origin for the float32 of scene files: "
            "the scene is kept about that point, which config.json names as its offset",
            path,
            ", ".join(f"{value:.15g}" for value in offset),
        )
    if points is not None:
        points = replace(points, xyz=np.ascontiguousarray(points.xyz - offset, np.float32))
    return replace(source, points=points), tuple(offset.tolist())


def rounded(position: np.ndarray, length: float) -> np.ndarray:
    """A position rounded to few digits.

    Args:
        position: [3] float64.
        length: approximate tolerance of the rounding.
    """
    unit = 10.0 ** floor(log10(length))
    # Adding zero turns -0.0 into 0.0.
    return np.round(position / unit) * unit + 0.0
