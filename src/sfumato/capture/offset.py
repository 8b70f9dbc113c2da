"""Captures far from the origin, as in map coordinates, where float32 is too coarse for positions."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import floor, log10
from pathlib import Path

import numpy as np

from sfumato.capture.depth import median_depth
from sfumato.capture.random_points import depth_scale
from sfumato.capture.readers import PosedDataset
from sfumato.capture.readers.place_rounding import stand_in_one_place
from sfumato.maths.rigid import centres_of

_log = logging.getLogger("sfumato")

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
    centres, points, offset = centres_of(poses), source.points, np.zeros(3)
    centre = np.median(centres, axis=0)
    if points is not None:
        depth = median_depth(poses, points.xyz)
    else:
        looks = not any(frame.intrinsics.lens.is_panorama for frame in source.frames)
        depth = float(np.median(depth_scale(poses, looks=looks)))
    if np.linalg.norm(centre) > _FAR_OFF * depth:
        offset = rounded(centre, depth)
        # The rounding of positions in one place would count as a distance near the origin.
        kept = np.broadcast_to(centre, centres.shape) if stand_in_one_place(poses) else centres
        poses = poses.copy()
        poses[:, :3, 3] = -np.einsum("nij,nj->ni", poses[:, :3, :3], kept - offset)
        frames = zip(source.frames, poses, strict=True)
        source = replace(source, frames=tuple(replace(f, camera_from_world=pose) for f, pose in frames))
        _log.warning(
            "%s: the cameras are near (%s), too far from the origin for the float32 of scene files: "
            "positions are stored relative to that point, the offset in config.json",
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
