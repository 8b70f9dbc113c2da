"""The common result of the readers of multi-view videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.capture.points import PointCloud
from sfumato.capture.readers import PosedImage

FRAMES_PER_SECOND = 30.0
"""Of frames of which nothing says when they were taken; the rate of PanopticSports and Neural 3D Video."""


@dataclass(frozen=True)
class SourceCamera:
    """One physical camera as it was read; no picture is decoded.

    Attributes:
        name: unique.
        frames: in order, each with its time by the camera's clock, seconds.
        foregrounds: for each frame the mask file of what moves, or None.
    """

    name: str
    frames: tuple[PosedImage, ...]
    foregrounds: tuple[Path | None, ...]


@dataclass(frozen=True)
class RigSource:
    """A multi-view video as it was read.

    Attributes:
        cameras: in any order.
        points: of the first step, world frame; None where the dataset has none.
        test_cameras: names to hold out if the dataset itself says so, else None.
        split_rule: how the dataset says it; empty when test_cameras is None.
    """

    cameras: tuple[SourceCamera, ...]
    points: PointCloud | None
    test_cameras: frozenset[str] | None = None
    split_rule: str = ""
