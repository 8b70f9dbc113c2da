"""The first step: an ordinary training run on the photographs of one moment."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.capture.dataset import Capture
from sfumato.capture.multiview import MultiViewVideo
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.start_points import start_points
from sfumato.training.config import AdcConfig, TrainConfig
from sfumato.training.parts.exposure import Exposure
from sfumato.training.state import TrainState

# Weights of the mean opacity and scale: larger than in an ordinary run, as a rig has few viewpoints, and
# unneeded Gaussians would become fog.
PENALTIES = AdcConfig(opacity_weight=0.2, opacity_end_factor=1.0, scale_weight=0.3)


def first_config(
    *, steps: int | None, seed: int, max_gaussians: int | None, minutes: float | None = None
) -> TrainConfig:
    """The training configuration of the first step, for a number of steps or minutes.

    Colours are independent of the view, as Gaussians will rotate; each camera has a colour gain and offset.
    """
    return TrainConfig(
        steps=steps,
        minutes=minutes,
        seed=seed,
        max_gaussians=max_gaussians,
        sh_degree=0,
        exposure=True,
        adc=PENALTIES,
    )


def first_capture(video: MultiViewVideo, foreground: Foreground, *, seed: int) -> Capture:
    """The training photographs of the first step, with initial points; none is held out."""
    capture = video.at(0)
    points = start_points(video, foreground, seed=seed)
    return replace(
        capture, views=capture.train_views, test_names=frozenset(), points=points, points_are_random=False
    )


def camera_colours(state: TrainState, video: MultiViewVideo) -> tuple[Tensor, Tensor]:
    """Gains and offsets [c, 3] of the training cameras; 1 and 0 for a camera without a photograph."""
    exposure = state.parts[Exposure.name]
    assert isinstance(exposure, Exposure)
    names = {view.name: number for number, view in enumerate(state.views)}
    gains, offsets = [], []
    for camera in video.train_cameras:
        view = camera.views[0]
        number = None if view is None else names.get(view.name)
        gain, offset = (torch.ones(3), torch.zeros(3)) if number is None else exposure.of_view(number)
        gains.append(gain)
        offsets.append(offset)
    return torch.stack(gains), torch.stack(offsets)
