"""The common result of the readers of multi-view videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.capture.points import PointCloud
from sfumato.capture.readers import PosedImage


@dataclass(frozen=True)
class SourceCamera:
    """One physical camera as it was read; no picture is decoded.

    Attributes:
        name: unique.
        frames: one for each step, None where the camera has none; all with the camera's pose.
        foregrounds: for each step the mask file of what moves, or None.
    """

    name: str
    frames: tuple[PosedImage | None, ...]
    foregrounds: tuple[Path | None, ...]


@dataclass(frozen=True)
class RigSource:
    """A multi-view video as it was read.

    Attributes:
        times: of the steps, seconds, ascending.
        cameras: in any order.
        points: of the first step, world frame; None where the dataset has none.
        test_cameras: names to hold out if the dataset itself says so, else None.
        split_rule: how the dataset says it; empty when test_cameras is None.
    """

    times: tuple[float, ...]
    cameras: tuple[SourceCamera, ...]
    points: PointCloud | None
    test_cameras: frozenset[str] | None = None
    split_rule: str = ""
