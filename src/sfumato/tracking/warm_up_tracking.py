"""Compilation of the kernels of tracking before the first time step."""

from __future__ import annotations

import torch

from sfumato.capture.cache import ByteCache
from sfumato.capture.multiview import MultiViewVideo, RigCamera
from sfumato.capture.multiview.multiview_video import PackedMask
from sfumato.capture.pixels import Pixels
from sfumato.scene.cameras import Camera
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.time_step import track_step
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import start
from sfumato.training.start import gaussians_from_points
from sfumato.training.warm_up import run_compiled, tiny_capture


def warm_up() -> None:
    """Compile every kernel in a separate process by taking a step on a tiny scene."""
    run_compiled(take_step)


def take_step() -> None:
    """The step of ``warm_up``, in this process."""
    pose = torch.eye(4, dtype=torch.float64)
    capture = tiny_capture(Camera(pose, (30.0, 30.0), (16.0, 16.0), (32, 32)))
    (view,) = capture.views
    rig = RigCamera("grey", view.camera, (view, view), False)
    caches = ByteCache[Pixels](0), ByteCache[PackedMask](0)
    video = MultiViewVideo(
        capture.path, (0.0, 1.0), (rig,), capture.points, capture.offset, "none", 0, ((None, None),), *caches
    )
    gaussians = gaussians_from_points(capture.points, sh_degree=0)
    moving = torch.arange(len(gaussians) // 2, len(gaussians))
    config = TrackConfig(nodes=2, views_per_step=2)
    colours = {"gains": torch.ones(1, 3), "offsets": torch.zeros(1, 3)}
    track_step(start((rig,), gaussians, moving, config, Foreground(video), **colours))
