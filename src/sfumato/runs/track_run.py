"""A tracked run on disk: from a multi-view video to a run folder with a scene, tracks and metrics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from sfumato.capture.dataset import Capture
from sfumato.capture.multiview import MultiViewVideo
from sfumato.display import Display
from sfumato.errors import CaptureError, SfumatoError
from sfumato.maths.one_thread import one_torch_thread
from sfumato.outputs import folder_lock, write_json
from sfumato.runs.interruption import Interruption
from sfumato.runs.run import RunResult, run_training
from sfumato.runs.run_options import CaptureOptions, RunOptions
from sfumato.runs.track_folder import TrackFolder, digest_of, without_nan
from sfumato.runs.track_metrics import metrics_of
from sfumato.runs.track_options import TrackOptions
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import save
from sfumato.scene.files.tracks import write_tracks
from sfumato.sequences import load_sequence
from sfumato.tracking.first_step import camera_colours, first_capture, first_config
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.held_out_cameras import HeldOutCameras, StepScore, mean
from sfumato.tracking.scene_over_time import scene_over_time
from sfumato.tracking.time_step import track_step
from sfumato.tracking.track_state import NEVER, TrackState, start
from sfumato.tracking.tracked_scene import TrackedScene
from sfumato.tracking.true_tracks import find_true_tracks, track_errors
from sfumato.tracking.vote import moving_rows
from sfumato.tracking.warm_up_tracking import warm_up
from sfumato.training.loop import Callback
from sfumato.training.state import TrainState

# Fraction of the time budget for the first step.
_FIRST_SHARE = 1 / 3


class TrackWatch(Protocol):
    """Callbacks of a tracked run, for the training of its first step and for each time step."""

    def first_step(self, capture: Capture, options: RunOptions) -> Callback:
        """A callback for each step of the training."""

    def steps(self, video: MultiViewVideo, count: int) -> StepWatch:
        """A callback for each of ``count`` time steps."""


# Called with a function that returns the scene so far, the metrics of the step, and the seconds of the run.
StepWatch = Callable[[Callable[[], DynamicScene], Mapping[str, Any], float], None]


@dataclass(frozen=True)
class TrackResult:
    """The result of a tracked run.

    Attributes:
        scene: the Gaussians over all steps; None if a signal stopped it.
        held_out: the held-out cameras; None likewise.
        video: the input; None likewise.
        stopped_by: the signal that stopped it, or None.
    """

    scene: DynamicScene | None = None
    held_out: HeldOutCameras | None = None
    video: MultiViewVideo | None = None
    stopped_by: int | None = None


def run_tracking(
    out: Path, options: TrackOptions, *, display: Display | None = None, watch: TrackWatch | None = None
) -> TrackResult:
    """Track a scene and fill a run folder; the same run in the folder is resumed.

    Args:
        out: the folder.
        options: of the run.
        display: shows progress.
        watch: callbacks, or None.

    Raises:
        SfumatoError: the input or an option is wrong, the folder holds another run, or the disk is full.
    """
    folder, display = TrackFolder(out), display or Display()
    options = replace(options, data=options.data.absolute())
    folder.check_free(options)
    video = _read(folder, options, display)
    true = find_true_tracks(options.data, video.offset)
    with folder_lock(out, "tracking"):
        folder.write_options(options)
        foreground = Foreground(video)
        first = _train_first(folder, options, video, foreground, display, watch)
        if first.stopped_by is not None:
            return TrackResult(stopped_by=first.stopped_by)
        with display.waiting("preparing kernels of tracking"):
            warm_up()
        state = _started(options, video, foreground, first.state)
        display.say(f"{len(state.ids):,} of {len(state.gaussians):,} Gaussians move")
        run = _TrackingRun(folder, options, video, state, display, first.state.seconds, true)
        return run.go(watch.steps(video, _num_steps(options, video)) if watch else None)


def _read(folder: TrackFolder, options: TrackOptions, display: Display) -> MultiViewVideo:
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
        f"{_num_steps(options, video)} steps in time"
    )
    return video


def _num_steps(options: TrackOptions, video: MultiViewVideo) -> int:
    return min(len(video.times), options.sequence.steps or len(video.times))


def _train_first(
    folder: TrackFolder,
    options: TrackOptions,
    video: MultiViewVideo,
    foreground: Foreground,
    display: Display,
    watch: TrackWatch | None,
) -> RunResult:
    """The training run of the first step, in its own run folder."""
    given, seed = options.sequence, options.track.seed
    minutes = None if given.minutes is None else _FIRST_SHARE * given.minutes
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
        watch=watch.first_step if watch else None,
    )


def _started(
    options: TrackOptions, video: MultiViewVideo, foreground: Foreground, first: TrainState
) -> TrackState:
    """The state after the first step."""
    gaussians = first.gaussians
    ids = moving_rows(gaussians, foreground)
    if not len(ids):
        raise SfumatoError(f"{options.data}: nothing moves in it; train a static scene instead")
    gains, offsets = camera_colours(first, video)
    return start(video.train_cameras, gaussians, ids, options.track, foreground, gains=gains, offsets=offsets)


class _TrackingRun:
    """A tracked run in its folder, from the second time step to the results."""

    def __init__(
        self,
        folder: TrackFolder,
        options: TrackOptions,
        video: MultiViewVideo,
        state: TrackState,
        display: Display,
        first_seconds: float,
        true: Tensor | None,
    ) -> None:
        self._folder, self._video, self._state, self._display = folder, video, state, display
        self._count, self._true = _num_steps(options, video), true
        self._at_first, self._first = state.gaussians, digest_of(state.gaussians)
        self._held_out = HeldOutCameras(video.test_cameras, state.gaussians, state.settings)
        score = self._held_out.score(state.gaussians, 0)
        self._rows = [self._row(0, score, score, first_seconds, 0)]
        self._config, self._minutes = options.track, options.sequence.minutes

    def go(self, watch: StepWatch | None) -> TrackResult:
        state, interruption = self._state, Interruption()
        while state.step < self._count and (done := self._folder.read_step(state, self._first)):
            self._rows.append(done[0])
            state.add(done[1])
        if state.step > 1:
            self._display.say(f"resuming after step {state.step - 1} in time")
        if watch:
            for row in self._rows:
                watch(self._scene, row, row["seconds"])
        with interruption, self._display.live_updates():
            while state.step < self._count:
                if interruption.signal is not None:
                    self._display.say(f"stopped after step {state.step - 1} in time")
                    return TrackResult(stopped_by=interruption.signal)
                self._take_step()
                if watch:
                    watch(self._scene, self._rows[-1], sum(row["seconds"] for row in self._rows))
        scene = self._scene()
        save(state.gaussians, self._folder.scene)
        write_tracks(scene, self._folder.tracks)
        self._write_metrics(scene)
        return TrackResult(scene, self._held_out, self._video)

    def _take_step(self) -> None:
        state, began = self._state, time.monotonic()
        step = state.step
        visits = self._visits()
        with one_torch_thread():
            result = track_step(state, visits)
        if not (result.poses.means.isfinite().all() and result.poses.quats.isfinite().all()):
            raise SfumatoError(
                f"tracking diverged in step {step}: poses hold NaN or infinity; lower the rates"
            )
        seconds = time.monotonic() - began
        state.add(result)
        score, still = (
            self._held_out.score(scene, step) for scene in (state.scene(state.poses), self._at_first)
        )
        self._rows.append(self._row(step, score, still, seconds, visits))
        self._folder.save_step(self._rows[step], result, self._first)
        left = mean([row["seconds"] for row in self._rows[1:]]) * (self._count - state.step)
        title, words = f"step {step} of {self._count - 1} in time", [f"{seconds:.1f} s a step"]
        if not math.isnan(score.psnr):
            words.insert(0, f"{score.psnr:.1f} dB held out, {score.psnr_changed:.1f} where it changes")
        self._display.show((step + 1) / self._count, title, words, left_s=left)

    def _visits(self) -> int:
        """Number of photographs for the next step: fewer than configured if time is short."""
        configured = self._config.visits(len(self._state.cameras))
        if self._minutes is None or len(self._rows) < 2:
            return configured
        left = 60 * self._minutes - sum(row["seconds"] for row in self._rows)
        last = self._rows[-1]
        affordable = last["visits"] * left / (last["seconds"] * (self._count - self._state.step))
        return int(min(max(affordable, len(self._state.cameras)), configured))

    def _row(
        self, step: int, score: StepScore, still: StepScore, seconds: float, visits: int
    ) -> dict[str, Any]:
        state = self._state
        gone = int((state.death < NEVER).sum()), int((state.still_death < NEVER).sum())
        return {
            "step": step,
            "time": self._video.times[step],
            **asdict(score),
            "seconds": round(seconds, 3),
            "gaussians": len(state.gaussians) - sum(gone),
            "moving": len(state.ids) - gone[0],
            "visits": visits,
            "still": asdict(still),
        }

    def _scene(self) -> DynamicScene:
        return scene_over_time(self._state, self._video.times)

    def _write_metrics(self, scene: DynamicScene) -> None:
        tracks = None if self._true is None else track_errors(TrackedScene(**vars(scene)), self._true)
        names = [camera.name for camera in self._held_out.cameras]
        document = metrics_of(self._rows, names, tracks)
        write_json(self._folder.metrics, without_nan(document))
        if names:
            test, still = document["test"], document["still"]
            self._display.say(
                f"held-out cameras {', '.join(names)}: PSNR {test['psnr']:.2f} dB, "
                f"{test['psnr_changed']:.2f} where it changes (without motion {still['psnr_changed']:.2f})"
            )
