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
from sfumato.display import Display, clock
from sfumato.errors import SfumatoError
from sfumato.maths.one_thread import one_torch_thread
from sfumato.outputs import folder_lock, write_json
from sfumato.runs.array_files import digest_of, without_nan
from sfumato.runs.interruption import Interruption
from sfumato.runs.run_options import RunOptions
from sfumato.runs.track_folder import TrackFolder
from sfumato.runs.track_metrics import metrics_of
from sfumato.runs.track_options import REFINE_SHARE, TrackOptions
from sfumato.runs.track_refinement import Refined, refined
from sfumato.runs.track_start import num_steps, read_video, started, train_first
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import save
from sfumato.scene.files.tracks import write_tracks
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.held_out_cameras import HeldOutCameras, StepScore, mean
from sfumato.tracking.scene_over_time import scene_over_time, with_late_parts
from sfumato.tracking.time_step import track_step
from sfumato.tracking.track_state import NEVER, TrackState
from sfumato.tracking.tracked_scene import TrackedScene
from sfumato.tracking.true_tracks import find_true_tracks, track_errors
from sfumato.tracking.warm_up_tracking import warm_up
from sfumato.training.loop import Callback


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
    with folder_lock(out, "tracking"):
        video = read_video(folder, options, display)
        true = find_true_tracks(options.data, video.offset)
        folder.write_options(options)
        foreground = Foreground(video)
        first_watch = watch.first_step if watch else None
        first = train_first(folder, options, video, foreground, display, first_watch)
        if first.stopped_by is not None:
            return TrackResult(stopped_by=first.stopped_by)
        with display.waiting("preparing kernels of tracking"):
            warm_up()
        state = started(options, video, foreground, first.state)
        display.say(f"{len(state.ids):,} of {len(state.gaussians):,} Gaussians move")
        run = _TrackingRun(folder, options, video, state, display, first.state.seconds, true)
        return run.go(watch.steps(video, num_steps(options, video)) if watch else None)


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
        self._count, self._true = num_steps(options, video), true
        self._at_first, self._first = state.gaussians, digest_of(state.gaussians.tensors().values())
        self._held_out = HeldOutCameras(video.test_cameras, state.gaussians, state.settings)
        score = self._held_out.score(state.gaussians, 0)
        self._rows = [self._row(0, score, score, first_seconds, 0)]
        self._config, self._given = options.track, options.sequence

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
        with interruption:
            if not self._follow(interruption, watch):
                self._display.say(f"stopped after step {state.step - 1} in time")
                return TrackResult(stopped_by=interruption.signal)
            found = self._refined(interruption)
        if found is None:
            self._display.say("stopped before the end of the training on all steps")
            return TrackResult(stopped_by=interruption.signal)
        save(found.scene.gaussians, self._folder.scene)
        write_tracks(found.scene, self._folder.tracks)
        self._write_metrics(found)
        return TrackResult(found.scene, self._held_out, self._video)

    def _follow(self, interruption: Interruption, watch: StepWatch | None) -> bool:
        """Take all time steps that are left; whether no signal stopped them."""
        with self._display.live_updates():
            while self._state.step < self._count:
                if interruption.signal is not None:
                    return False
                self._take_step()
                if watch:
                    watch(self._scene, self._rows[-1], sum(row["seconds"] for row in self._rows))
        return True

    def _refined(self, interruption: Interruption) -> Refined | None:
        """The scene after the training on all steps, if that is wanted; None if a signal stopped it."""
        given = self._given
        with self._display.waiting("joining the steps"):
            scene = with_late_parts(self._scene(), self._state)
        if not given.steps_refine:
            return Refined(scene, 0.0)
        spent = sum(row["seconds"] for row in self._rows) / 60
        minutes = None if given.minutes is None else max(given.minutes - spent, REFINE_SHARE * given.minutes)
        steps = given.steps_refine if minutes is None else None
        found = refined(
            self._folder, self._video, self._state, scene, interruption, self._display,
            steps=steps, minutes=minutes,
        )  # fmt: skip
        if found:
            self._score_again(found.scene)
        return found

    def _score_again(self, scene: DynamicScene) -> None:
        """Measure every step again with the trained scene, of which some Gaussians were replaced."""
        times = self._video.times
        first = scene.at(times[0])
        self._held_out = HeldOutCameras(self._video.test_cameras, first, self._state.settings)
        with self._display.counting("measuring", "steps") as report:
            for step, row in enumerate(self._rows):
                report(step, len(self._rows))
                now = scene.at(times[step])
                score, still = (self._held_out.score(at, step) for at in (now, first))
                counts = {"gaussians": len(now), "moving": int(scene.alive(step).sum())}
                self._rows[step] = {**row, **asdict(score), **counts, "still": asdict(still)}

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
        configured, given = self._config.visits(len(self._state.cameras)), self._given
        if given.minutes is None or len(self._rows) < 2:
            return configured
        share = 1 - REFINE_SHARE * (given.steps_refine > 0)
        left_s = 60 * share * given.minutes - sum(row["seconds"] for row in self._rows)
        last, steps_left = self._rows[-1], self._count - self._state.step
        seconds_per_visit = last["seconds"] / last["visits"]
        least = len(self._state.cameras)
        over_s = steps_left * least * seconds_per_visit - left_s
        # Said once, when the first time is known.
        if over_s > 0 and len(self._rows) == 2:
            self._display.say(
                f"{given.minutes:g} minutes are too few: each step uses every camera at least once, which "
                f"takes about {clock(over_s)} longer"
            )
        return int(min(max(left_s / (seconds_per_visit * steps_left), least), configured))

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
        """The scene so far."""
        return scene_over_time(self._state, self._video.times)

    def _write_metrics(self, found: Refined) -> None:
        scene = TrackedScene(**vars(found.scene))
        tracks = None if self._true is None else track_errors(scene, self._true)
        names = [camera.name for camera in self._held_out.cameras]
        document = metrics_of(self._rows, names, tracks, refine_seconds=found.seconds)
        write_json(self._folder.metrics, without_nan(document))
        if names:
            test, still = document["test"], document["still"]
            self._display.say(
                f"held-out cameras {', '.join(names)}: PSNR {test['psnr']:.2f} dB, "
                f"{test['psnr_changed']:.2f} where it changes (without motion {still['psnr_changed']:.2f})"
            )
