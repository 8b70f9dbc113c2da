"""A training run on disk: from a dataset to a run folder with scene, metrics and renders."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sfumato import machine
from sfumato.capture.dataset import Capture
from sfumato.display import Display
from sfumato.errors import ConfigError, SfumatoError
from sfumato.evaluation.held_out import Report
from sfumato.ops.backend import HOST
from sfumato.runs.cameras_file import write_cameras
from sfumato.runs.checkpoint import (
    first_not_finite,
    identify,
    save_checkpoint,
)
from sfumato.runs.first_state import first_state, resumed_state
from sfumato.runs.folder import EventLog, RunFolder
from sfumato.runs.held_out_evaluation import NATIVE_IN_A_BUDGET, EvaluationOptions
from sfumato.runs.interruption import Interruption
from sfumato.runs.recorder import Recorder
from sfumato.runs.reduction import reduced_to_fit, with_reduction_of
from sfumato.runs.results import draw_chart, write_results
from sfumato.runs.run_options import RunOptions, check_same_command, check_same_run
from sfumato.runs.shared_training import check_processes, in_processes, save_shards_of_others
from sfumato.scene.files import save
from sfumato.sharding.sharded_state import ShardedState
from sfumato.sharding.sharded_step import sharded_train_step
from sfumato.training import loop
from sfumato.training.loop import Callback
from sfumato.training.parts.poses import Poses
from sfumato.training.plan import TrainingPlan, with_budget
from sfumato.training.state import TrainState
from sfumato.training.step import StepStats
from sfumato.training.warm_up import prepare_kernels

# Least interval of checkpoints, and largest fraction of the time for writing them.
_CHECKPOINT_EVERY_S = 60.0
_CHECKPOINT_SHARE = 0.02


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        state: at the end.
        report: quality on held-out views; None if the run was stopped before.
        capture: the training data.
        stopped_by: the signal that stopped it, or None.
    """

    state: TrainState
    report: Report | None
    capture: Capture
    stopped_by: int | None


def run_training(
    out: Path,
    options: RunOptions,
    *,
    resume: bool = False,
    overwrite: bool = False,
    display: Display | None = None,
    watch: Callable[[Capture, RunOptions], Callback] | None = None,
    until_s: float = math.inf,
    capture: Capture | None = None,
    device: torch.device = HOST,
    is_stopped: Callable[[], bool] = lambda: False,
    processes: int = 1,
) -> RunResult:
    """Train a scene and fill a run folder.

    Args:
        out: the folder.
        options: of the run. If the folder holds a run with the same options, it is resumed. Without a
            ``downscale`` photographs are reduced to a size for which the minutes are enough.
        resume: resume the run in the folder, possibly with another length.
        overwrite: replace the results in the folder.
        display: shows progress.
        watch: creates a callback from the training data and the options.
        until_s: deadline by the monotonic clock, after which only a few held-out views are evaluated.
        capture: the dataset, if it was already read with these options.
        device: of the scene.
        is_stopped: asked after each step; the run then stops as after a signal.
        processes: number of processes on this machine that train the scene together, with this one.

    Returns:
        RunResult. A run that was stopped by a signal has a checkpoint and a scene, but no report.

    Raises:
        SfumatoError: the input or an option is wrong, or the disk is full.
    """
    folder, display = RunFolder(out), display or Display()
    folder.check_free(resume=resume, overwrite=overwrite)
    if resume and options.init:
        raise ConfigError("--init and --resume exclude each other: a resumed run has its scene already")
    options, is_resumed = _agreed(folder, options, resume=resume, overwrite=overwrite)
    if capture is None:
        with display.waiting(f"reading {options.data}"):
            capture = options.read_capture()
        if options.capture.downscale is None:
            options, capture = reduced_to_fit(options, capture, display, options.train.minutes or math.inf)
    options = completed(options)
    capture.require_pixels()
    identity = identify(capture)
    if is_resumed:
        state, plan = resumed_state(folder, capture, identity, options, device)
    else:
        state, plan = first_state(capture, options, device)
    check_processes(processes, state, options)
    display.say(plan.describe(options.train))
    if options.train.minutes and capture.test_views and math.isinf(until_s):
        display.say(f"after them {len(capture.test_views)} held-out views are evaluated")
    prepare_kernels(options.train, (view.camera for view in capture.views), display, device)
    facts = {
        "cap": state.cap,
        "points": state.start_count,
        "estimated_memory_bytes": plan.memory_bytes,
        "resolution": plan.size_px,
        "offset": list(capture.offset),
        "original_resolution": plan.original_size_px,
    }
    with folder.lock():
        if is_resumed:
            folder.resume(options, state.step, **facts)
            display.say(f"resuming after step {state.step:,}")
        else:
            folder.begin(options, **facts)
        watchers = [watch(capture, options)] if watch else []
        run = _TrainingRun(folder, capture, identity, options, display, until_s, is_stopped)
        return run.go(state, plan, watchers, processes)


def completed(options: RunOptions) -> RunOptions:
    """The options with defaults and absolute paths, at full size if no downscale was chosen."""
    return replace(
        options,
        data=options.data.absolute(),
        init=options.init.absolute() if options.init else None,
        block=options.block.absolute() if options.block else None,
        capture=options.capture.completed(),
        train=with_budget(options.train),
    )


def _agreed(
    folder: RunFolder, options: RunOptions, *, resume: bool, overwrite: bool
) -> tuple[RunOptions, bool]:
    """The completed options, and whether the folder has such a run to resume.

    A run by time without a ``downscale`` has that of the run to resume, or still none.

    Raises:
        ConfigError: it has a run with other options, or none although ``resume`` is given.
    """
    is_open = options.capture.downscale is None and options.train.steps is None and options.block is None
    options = completed(options)
    if overwrite or not (resume or folder.holds_run()):
        capture = replace(options.capture, downscale=None) if is_open else options.capture
        return replace(options, capture=capture), False
    saved = folder.read_options()
    if is_open:
        options = with_reduction_of(saved, options)
    if resume:
        options = replace(options, init=saved.init)
        check_same_run(saved, options)
    else:
        check_same_command(saved, options, folder.path)
    return options, folder.has_checkpoint()


class _Stopped(Exception):
    """Raised between two steps after a signal to stop."""


class _TrainingRun:
    """A run in its folder, from its first step to its results."""

    def __init__(
        self,
        folder: RunFolder,
        capture: Capture,
        identity: dict[str, Any],
        options: RunOptions,
        display: Display,
        until_s: float,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._folder, self._capture, self._options, self._display = folder, capture, options, display
        self._identity, self._until_s, self._is_stopped = identity, until_s, is_stopped
        self._interruption = Interruption()
        self._saved_at_s, self._saving_s = time.monotonic(), 0.0

    def go(
        self, state: TrainState, plan: TrainingPlan, watchers: Sequence[Callback], processes: int
    ) -> RunResult:
        config, capture = self._options.train, self._capture
        events = EventLog(self._folder.events)
        recorder = Recorder(config, events, self._display, capture.test_views, plan.size_px)
        with self._interruption, in_processes(processes, state, capture, self._options) as state:
            is_stopped = self._is_stopped_in(state, (recorder, *watchers, self._after_step))
            self._save(state)
        if is_stopped:
            self._display.say(f"stopped after step {state.step:,}")
            return RunResult(state, None, capture, self._interruption.signal)
        report = self._results(state)
        recorder.finish(state, report)
        draw_chart(self._folder)
        self._display.say(f"the scene is {self._folder.scene}")
        return RunResult(state, report, capture, None)

    def _is_stopped_in(self, state: TrainState, callbacks: Sequence[Callback]) -> bool:
        """Train; whether a signal stopped it."""
        step = sharded_train_step if isinstance(state, ShardedState) else None
        try:
            with self._display.live_updates():
                loop.train(self._capture, state, callbacks, step=step)
        except _Stopped:
            return True
        return False

    def _after_step(self, state: TrainState, stats: StepStats) -> None:
        if self._interruption.signal is not None or self._is_stopped():
            raise _Stopped
        every = self._options.checkpoint_every
        waited_s = time.monotonic() - self._saved_at_s
        due = waited_s > max(_CHECKPOINT_EVERY_S, self._saving_s / _CHECKPOINT_SHARE)
        if (state.step % every == 0 if every else due) and state.progress < 1:
            self._save(state)

    def _save(self, state: TrainState) -> None:
        broken = first_not_finite(state)
        if broken:
            raise SfumatoError(
                f"training diverged before step {state.step}: {broken} hold NaN or infinity; lower the "
                "--rates, or --resume from the last checkpoint"
            )
        began = time.monotonic()
        if isinstance(state, ShardedState):
            save_shards_of_others(state, self._folder.checkpoints)
        save_checkpoint(self._folder.checkpoints, state, self._options, self._identity)
        save(state.gaussians, self._folder.scene)
        poses = state.parts.get(Poses.name)
        if isinstance(poses, Poses):
            write_cameras(self._folder.cameras, state.views, poses, offset=self._capture.offset)
        self._saved_at_s = time.monotonic()
        self._saving_s = self._saved_at_s - began

    def _results(self, state: TrainState) -> Report:
        facts: dict[str, Any] = {
            "steps": state.step,
            "seconds": round(state.seconds, 3),
            "gaussians": state.num_gaussians,
            "peak_memory_bytes": machine.peak_memory_bytes(),
        }
        if isinstance(state, ShardedState):
            facts |= state.traffic()
        with torch.no_grad():
            return write_results(
                self._folder,
                state.gaussians,
                self._capture,
                self._options.train,
                facts,
                self._display,
                EvaluationOptions(
                    most_native=NATIVE_IN_A_BUDGET if self._options.train.minutes else None,
                    until_s=self._until_s,
                ),
            )
