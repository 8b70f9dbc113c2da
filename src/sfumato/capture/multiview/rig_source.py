"""The common result of the readers of multi-view videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.capture.points import PointCloud
from sfumato.capture.readers import PosedImage

FRAMES_PER_SECOND = 30.0
"""Default for frames without times: the rate of PanopticSports and Neural 3D Video."""


@dataclass(frozen=True)
class SourceCamera:
    """One physical camera as read; no picture is decoded.

    Attributes:
        name: unique.
        frames: in order, each with its time by the camera's clock, seconds.
        foregrounds: for each frame its foreground mask file, or None.
    """

    name: str
    frames: tuple[PosedImage, ...]
    foregrounds: tuple[Path | None, ...]


@dataclass(frozen=True)
class RigSource:
    """A multi-view video as read.

    Attributes:
        cameras: in any order.
        points: of the first step, world frame; None if the dataset has none.
        test_cameras: names of held-out cameras if the dataset defines a split, else None.
        split_rule: how it defines the split; empty if test_cameras is None.
    """

    cameras: tuple[SourceCamera, ...]
    points: PointCloud | None
    test_cameras: frozenset[str] | None = None
    split_rule: str = ""
