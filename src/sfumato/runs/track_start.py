"""The beginning of a tracked run: reading the video and training the first time step."""

from __future__ import annotations

from collections.abc import Callable

from sfumato.capture.dataset import Capture
from sfumato.capture.multiview import MultiViewVideo
from sfumato.display import Display
from sfumato.errors import CaptureError, SfumatoError
from sfumato.runs.run import RunResult, run_training
from sfumato.runs.run_options import CaptureOptions, RunOptions
from sfumato.runs.track_folder import TrackFolder
from sfumato.runs.track_options import FIRST_SHARE, TrackOptions
from sfumato.sequences import load_sequence
from sfumato.tracking.first_step import camera_colours, first_capture, first_config
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.track_state import TrackState, start
from sfumato.tracking.vote import moving_rows
from sfumato.training.loop import Callback
from sfumato.training.state import TrainState


def read_video(folder: TrackFolder, options: TrackOptions, display: Display) -> MultiViewVideo:
    """Read the video of a run.

    Raises:
        SfumatoError: it cannot be read, or has fewer than two cameras to train on.
    """
    given = options.sequence
    folder.path.mkdir(parents=True, exist_ok=True)
    video = load_sequence(
        options.data,
        work=folder.work,
        downscale=given.downscale,
        test_cameras=given.test_cameras,
        seed=options.track.seed,
        display=display,
    )
    if len(video.train_cameras) < 2:
        raise CaptureError(
            f"{video.path} has {len(video.train_cameras)} camera to train on; one that stands still "
            "does not see motion in depth: give two or more"
        )
    display.say(
        f"{len(video.train_cameras)} cameras, {len(video.test_cameras)} held out, "
        f"{num_steps(options, video)} steps in time"
    )
    return video


def num_steps(options: TrackOptions, video: MultiViewVideo) -> int:
    """Number of time steps of a run."""
    return min(len(video.times), options.sequence.steps or len(video.times))


def train_first(
    folder: TrackFolder,
    options: TrackOptions,
    video: MultiViewVideo,
    foreground: Foreground,
    display: Display,
    watch: Callable[[Capture, RunOptions], Callback] | None,
) -> RunResult:
    """The training run of the first step, in its own run folder.

    Args:
        folder, options, video: of the tracked run.
        foreground: moving areas of the photographs.
        display: shows progress.
        watch: as in ``run_training``.
    """
    given, seed = options.sequence, options.track.seed
    minutes = None if given.minutes is None else FIRST_SHARE * given.minutes
    training = first_config(
        steps=given.steps_first if minutes is None else None,
        minutes=minutes,
        seed=seed,
        max_gaussians=given.max_gaussians,
    )
    read = CaptureOptions(downscale=given.downscale, test_every=0)
    return run_training(
        folder.first,
        RunOptions(options.data, read, training),
        display=display,
        capture=first_capture(video, foreground, seed=seed),
        watch=watch,
    )


def started(
    options: TrackOptions, video: MultiViewVideo, foreground: Foreground, first: TrainState
) -> TrackState:
    """The state after the first step."""
    gaussians = first.gaussians
    ids = moving_rows(gaussians, foreground)
    if not len(ids):
        raise SfumatoError(f"{options.data}: nothing moves in it; train a static scene instead")
    gains, offsets = camera_colours(first, video)
    return start(video.train_cameras, gaussians, ids, options.track, foreground, gains=gains, offsets=offsets)
