"""Options of a tracked run, read without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.tracking.track_config import TrackConfig

FIRST_STEPS = 2_500


@dataclass(frozen=True)
class TrackOptions:
    """A tracked run.

    Attributes:
        data: the multi-view video.
        downscale: pictures are reduced this many times.
        test_cameras: names of the cameras held out; None: those that the dataset holds out.
        steps: how many steps in time at most; None: all.
        steps_first: training steps of the first step in time.
        max_gaussians: at most so many after the first step; None: chosen from memory and pixels.
        track: how the Gaussians are followed.
    """

    data: Path
    downscale: int = 1
    test_cameras: tuple[str, ...] | None = None
    steps: int | None = None
    steps_first: int = FIRST_STEPS
    max_gaussians: int | None = None
    track: TrackConfig = field(default_factory=TrackConfig)

    def __post_init__(self) -> None:
        for name in ("downscale", "steps", "steps_first"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give at least 1")
