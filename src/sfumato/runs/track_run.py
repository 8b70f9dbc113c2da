"""A tracked run on disk: from a multi-view video to a run folder with a scene, tracks and metrics."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sfumato import machine
from sfumato.capture.multiview import MultiViewVideo
from sfumato.display import Display, clock
from sfumato.errors import CaptureError, SfumatoError
from sfumato.outputs import holding, write_json
from sfumato.runs.interruption import Interruption
from sfumato.runs.run import run_training
from sfumato.runs.run_options import CaptureOptions, RunOptions
from sfumato.runs.track_folder import TrackFolder, digest_of, without_nan
from sfumato.runs.track_options import TrackOptions
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.files import save
from sfumato.scene.files.tracks import write_tracks
from sfumato.scene.gaussians import Gaussians
from sfumato.sequences import load_sequence
from sfumato.tracking.first_step import camera_colours, first_capture, first_config
from sfumato.tracking.following import TrackedScene
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.held_out_cameras import HeldOut, StepScore, mean
from sfumato.tracking.split import moving_rows
from sfumato.tracking.time_step import MovingPoses, joined, track_step
from sfumato.tracking.track_state import TrackState, default_settings, start
from sfumato.tracking.true_tracks import TrueTracks, track_errors
from sfumato.training.loop import one_torch_thread


@dataclass(frozen=True)
class TrackResult:
    """How a tracked run ended.

    Attributes:
        scene: the Gaussians over the steps that were done; None if it was stopped before the first one was.
        video: what was tracked.
        held_out: its held-out cameras; None if the run was stopped.
        stopped_by: the signal that stopped it, or None.
    """

    scene: DynamicScene | None
    video: MultiViewVideo
    held_out: HeldOut | None
    stopped_by: int | None


def run_tracking(out: Path, options: TrackOptions, *, display: Display | None = None) -> TrackResult:
    """Track a scene and fill a run folder; a folder with the same run is gone on with.

    Args:
        out: the folder.
        options: of the run.
        display: where to show what happens.

    Raises:
        SfumatoError: something that was given is wrong, the folder holds another run, or the disk is full.
    """
    folder, display = TrackFolder(out), display or Display()
    options = replace(options, data=options.data.absolute())
    folder.check_free(options)
    out.mkdir(parents=True, exist_ok=True)
    with holding(out, "tracking"):
        folder.write_options(options)
        video = load_sequence(
            options.data,
            work=folder.work,
            downscale=options.downscale,
            test_cameras=options.test_cameras,
            seed=options.track.seed,
            display=display,
        )
        _check(video)
        count = min(len(video.times), options.steps or len(video.times))
        display.say(
            f"{len(video.train_cameras)} cameras, {len(video.test_cameras)} held out, {count} steps in time"
        )
        foreground = Foreground(video)
        capture = first_capture(video, foreground, seed=options.track.seed)
        training = first_config(
            steps=options.steps_first, seed=options.track.seed, max_gaussians=options.max_gaussians
        )
        first = run_training(
            folder.first,
            RunOptions(options.data, CaptureOptions(downscale=options.downscale, test_every=0), training),
            display=display,
            capture=capture,
        )
        if first.stopped_by is not None:
            return TrackResult(None, video, None, first.stopped_by)
        gaussians = Gaussians(**{name: t.detach() for name, t in first.state.gaussians.tensors().items()})
        gains, offsets = camera_colours(first.state, video)
        indices = [number for number, camera in enumerate(video.cameras) if not camera.is_test]
        ids = moving_rows(
            gaussians,
            video.train_cameras,
            lambda number: foreground.changing(indices[number], 0),
            default_settings(gaussians, video.train_cameras),
        )
        if not len(ids):
            raise SfumatoError(f"{options.data}: nothing moves in it; train a scene of one moment instead")
        display.say(f"{len(ids):,} of {len(gaussians):,} Gaussians move")
        state = start(
            video,
            gaussians,
            ids,
            options.track,
            gains=gains,
            offsets=offsets,
            foreground=lambda number, step: foreground.of(indices[number], step),
        )
        return _TrackingRun(folder, options, video, state, display, count, first.state.seconds).go()


def _check(video: MultiViewVideo) -> None:
    if len(video.train_cameras) < 2:
        raise CaptureError(
            f"{video.path} has {len(video.train_cameras)} camera to train on; one that stands still "
            "does not see motion in depth: give two or more"
        )


class _TrackingRun:
    """A tracked run in its folder, from its second step in time to its results."""

    def __init__(
        self,
        folder: TrackFolder,
        options: TrackOptions,
        video: MultiViewVideo,
        state: TrackState,
        display: Display,
        count: int,
        first_seconds: float,
    ) -> None:
        self._folder, self._options, self._video, self._state = folder, options, video, state
        self._display, self._count, self._first_seconds = display, count, first_seconds
        self._held_out = HeldOut(video, state.gaussians, state.settings)
        self._rows: list[dict[str, Any]] = []
        self._first = ""
        self._interruption = Interruption()

    def go(self) -> TrackResult:
        self._score_first()
        self._first = digest_of(self._state.gaussians)
        for row, means, quats in self._folder.steps_done(self._first, self._count):
            self._rows.append(row)
            self._state.means.append(means)
            self._state.quats.append(quats)
        if self._state.step > 1:
            self._display.say(f"resuming after step {self._state.step - 1} in time")
        with self._interruption, self._display.living():
            while self._state.step < self._count:
                if self._interruption.signal is not None:
                    self._display.say(f"stopped after step {self._state.step - 1} in time")
                    self._write()
                    return TrackResult(self._scene(), self._video, None, self._interruption.signal)
                self._take_step()
        self._write()
        self._write_metrics()
        return TrackResult(self._scene(), self._video, self._held_out, None)

    def _score_first(self) -> None:
        score = self._held_out.score(self._state.gaussians, 0)
        self._rows.append(self._row(0, score, score, self._first_seconds))

    def _take_step(self) -> None:
        step, began = self._state.step, time.monotonic()
        with one_torch_thread():
            poses = track_step(self._state, step)
        self._keep(poses)
        seconds = time.monotonic() - began
        score = self._held_out.score(self._now(step), step)
        still = self._held_out.score(self._now(0), step)
        self._rows.append(self._row(step, score, still, seconds))
        self._folder.save_step(self._rows[step], poses.means, poses.quats, self._first)
        rates = [row["seconds"] for row in self._rows[1:]]
        left = mean(rates) * (self._count - step - 1)
        words = [
            f"step {step} of {self._count - 1} in time",
            f"{seconds:.1f} s a step",
            f"{clock(left)} left",
        ]
        if not math.isnan(score.psnr):
            words.append(f"{score.psnr:.1f} dB held out, {score.psnr_changed:.1f} where it changes")
        self._display.show((step + 1) / self._count, words)

    def _keep(self, poses: MovingPoses) -> None:
        broken = not (poses.means.isfinite().all() and poses.quats.isfinite().all())
        if broken:
            raise SfumatoError(
                f"tracking diverged in step {self._state.step}: poses hold NaN or infinity; lower the rates"
            )
        self._state.means.append(poses.means)
        self._state.quats.append(poses.quats)

    def _now(self, step: int) -> Gaussians:
        state = self._state
        return joined(state.still_gaussians, state.moving_gaussians, state.means[step], state.quats[step])

    def _row(self, step: int, score: StepScore, still: StepScore, seconds: float) -> dict[str, Any]:
        return {
            "step": step,
            "time": self._video.times[step],
            **asdict(score),
            "seconds": round(seconds, 3),
            "gaussians": len(self._state.gaussians),
            "moving": len(self._state.ids),
            "still": asdict(still),
        }

    def _scene(self) -> DynamicScene:
        state = self._state
        steps, moving = state.step, len(state.ids)
        return DynamicScene(
            state.gaussians,
            state.ids,
            torch.tensor(self._video.times[:steps], dtype=torch.float64),
            torch.stack(state.means),
            torch.stack(state.quats),
            torch.zeros(moving, dtype=torch.int64),
            torch.full((moving,), steps),
        )

    def _write(self) -> None:
        save(self._state.gaussians, self._folder.scene)
        write_tracks(self._scene(), self._folder.tracks)

    def _write_metrics(self) -> None:
        rows = self._rows
        kinds = ("psnr", "ssim", "psnr_affine", "psnr_changed")

        def means(of: list[dict[str, Any]]) -> dict[str, float | None]:
            return {
                kind: mean([math.nan if row[kind] is None else row[kind] for row in of]) for kind in kinds
            }

        true = TrueTracks.find(self._options.data)
        test, still = means(rows), means([row["still"] for row in rows])
        document = {
            "version": 1,
            "kind": "dynamic",
            "test": {**test, "cameras": self._held_out.names},
            "steps": [{k: v for k, v in row.items() if k not in ("still", "ssim")} for row in rows],
            "still": still,
            "tracks": None if true is None else track_errors(TrackedScene(**vars(self._scene())), true),
            "train": {
                "seconds": round(sum(row["seconds"] for row in rows), 3),
                "first_step_seconds": round(self._first_seconds, 3),
                "gaussians": len(self._state.gaussians),
                "moving": len(self._state.ids),
                "peak_memory_bytes": machine.peak_memory_bytes(),
            },
        }
        write_json(self._folder.metrics, without_nan(document))
        if self._held_out.names:
            self._display.say(
                f"held-out cameras {', '.join(self._held_out.names)}: PSNR {test['psnr']:.2f} dB, "
                f"{test['psnr_changed']:.2f} where it changes (without motion {still['psnr_changed']:.2f})"
            )
