"""Options of a tracked run, read without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.tracking.track_config import TrackConfig
from sfumato.training.config import MOST_MINUTES

# Fractions of the time budget for the first step, and for the training on all steps.
FIRST_SHARE, REFINE_SHARE = 1 / 3, 1 / 4


@dataclass(frozen=True)
class SequenceOptions:
    """Reading of a multi-view video, and training of its first step.

    Attributes:
        downscale: factor by which pictures are reduced, by area average.
        test_cameras: names of the cameras to hold out, to measure quality; None: those the dataset names.
        steps: largest number of time steps; None: all.
        steps_first: training steps for the first time step.
        steps_refine: training steps at the end on the photographs of all time steps, for colours, shapes
            and poses; 0: none.
        minutes: time budget of the run, a third of it for the first time step and a quarter for the training
            on all steps; the time steps then use fewer photographs; None: unlimited.
        max_gaussians: cap on the number of Gaussians; None: chosen from memory and pixels.
    """

    downscale: int = 1
    test_cameras: tuple[str, ...] | None = None
    steps: int | None = None
    steps_first: int = 2_500
    steps_refine: int = 4_000
    minutes: float | None = None
    max_gaussians: int | None = None

    def __post_init__(self) -> None:
        for name in ("downscale", "steps", "steps_first", "max_gaussians"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give at least 1")
        if self.steps_refine < 0:
            raise ConfigError(f"steps_refine is {self.steps_refine}; give 0 or more")
        if self.minutes is not None and not 0 < self.minutes < MOST_MINUTES:
            raise ConfigError(f"minutes is {self.minutes}; give more than 0, and less than {MOST_MINUTES:,}")


@dataclass(frozen=True)
class TrackOptions:
    """A tracked run.

    Attributes:
        data: the multi-view video.
        sequence: options of reading it.
        track: options of tracking.
    """

    data: Path
    sequence: SequenceOptions = field(default_factory=SequenceOptions)
    track: TrackConfig = field(default_factory=TrackConfig)
