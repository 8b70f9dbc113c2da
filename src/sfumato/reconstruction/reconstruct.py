"""The whole pipeline from footage to a scene, in one run folder."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from sfumato.capture.dataset import Capture
from sfumato.capture.readers import holds_cameras, read_source
from sfumato.checks import check_type, file_path
from sfumato.display import Display, clock
from sfumato.errors import ConfigError
from sfumato.footage import FrameOptions
from sfumato.ops.backend import device_named
from sfumato.reconstruction.budget import CAMERAS_SHARE, Budget
from sfumato.reconstruction.saved_task import check_resumable, check_training, save_task
from sfumato.runs.folder import RunFolder
from sfumato.runs.held_out_evaluation import seconds_to_evaluate
from sfumato.runs.reduction import reduced_to_fit
from sfumato.runs.run import RunResult, run_training
from sfumato.runs.run_options import CaptureOptions, RunOptions
from sfumato.sfm.config import SfmConfig
from sfumato.sfm.pipeline import structure_from_motion
from sfumato.training.config import TrainConfig
from sfumato.training.loop import Callback
from sfumato.training.warm_up import prepare_kernels

_log = logging.getLogger("sfumato")

DATASET = "dataset"
DEFAULT_MINUTES = 10.0


@dataclass(frozen=True)
class Reconstruction:
    """The arguments of a reconstruction.

    Attributes:
        inputs: videos, photographs, folders of them; or one posed dataset. A single path or a list is
            accepted too.
        frames: options of the selection of pictures.
        sfm: options of structure from motion.
        capture: options of reading the dataset; ``downscale`` None: chosen by the time available.
        train: options of training; ``minutes`` are for all stages, 10 if neither they nor ``steps`` are
            given.
    """

    inputs: tuple[Path, ...]
    frames: FrameOptions = field(default_factory=FrameOptions)
    sfm: SfmConfig = field(default_factory=SfmConfig)
    capture: CaptureOptions = field(default_factory=CaptureOptions)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.capture.downscale is not None and self.capture.downscale < 1:
            raise ConfigError(f"downscale is {self.capture.downscale}; give at least 1")
        given = (self.inputs,) if isinstance(self.inputs, str | Path) else self.inputs
        check_type("inputs", given, list, tuple)
        if not given:
            raise ConfigError("there is no input; give a video, photographs or a folder of them")
        object.__setattr__(self, "inputs", tuple(file_path("input", path) for path in given))


def reconstruct(
    task: Reconstruction,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    display: Display | None = None,
    watch: Callable[[Capture, RunOptions], Callback] | None = None,
    device: str = "auto",
) -> RunResult:
    """Reconstruct a scene from videos, photographs, or a posed dataset.

    Args:
        task: inputs and options.
        out: run folder to create; cameras and pictures go into its ``dataset``.
        resume: fail unless there is one to resume. The same task is resumed in any case.
        overwrite: replace the results in it.
        display: shows progress.
        watch: creates a training callback from the training data and the options.
        device: for training, as in ``torch.device``; "auto" is the CPU for now.

    Returns:
        RunResult of the training.

    Raises:
        SfumatoError: the input or an option is wrong, or no cameras can be found.
    """
    check_type("task", task, Reconstruction)
    out = file_path("out", out)
    folder, display, on = RunFolder(out), display or Display(), device_named(device)
    folder.check_free(resume=resume, overwrite=overwrite)
    saved = not overwrite and check_resumable(task, out, resume=resume)
    if saved and folder.has_checkpoint():
        options = _moved(folder.read_options(), out)
        check_training(task, options, out)
        return run_training(out, options, resume=True, display=display, watch=watch, device=on)
    if not saved and not overwrite:
        save_task(task, out)
    whole_minutes = task.train.minutes or (None if task.train.steps else DEFAULT_MINUTES)
    budget = Budget(whole_minutes or 0.0)
    if whole_minutes:
        display.set_overall_progress(lambda: f"total {clock(budget.spent_s)}/{clock(budget.whole_s)}")
    data = _posed(task, out, budget, display)
    options, capture = _training(task, data, budget, display, on)
    if overwrite:
        save_task(task, out)
    until_s = budget.compared_until_s if budget.whole_s else math.inf
    return run_training(
        out,
        options,
        overwrite=True,
        display=display,
        watch=watch,
        until_s=until_s,
        capture=capture,
        device=on,
    )


def _moved(options: RunOptions, out: Path) -> RunOptions:
    """The same options, with the path of the dataset in the run folder's current location."""
    dataset = out / DATASET
    is_own = options.data.name == DATASET and dataset.is_dir()
    return replace(options, data=dataset) if is_own else options


def _posed(task: Reconstruction, out: Path, budget: Budget, display: Display) -> Path:
    """A dataset with cameras and points: the given one, or the result of structure from motion."""
    first = task.inputs[0]
    is_posed = len(task.inputs) == 1 and task.sfm.poses == "keep" and holds_cameras(first)
    if is_posed and read_source(first).points is not None:
        return first
    sfm = task.sfm
    if budget.whole_s:
        sfm = replace(sfm, minutes=sfm.minutes or CAMERAS_SHARE * budget.whole_s / 60.0)
    found = structure_from_motion(task.inputs, out / DATASET, sfm, task.frames, display=display)
    if found.verdict == "poor":
        _log.warning(
            "the cameras are inaccurate, so the scene will be poor; see %s", out / DATASET / "sfm.json"
        )
    return found.folder


def _training(
    task: Reconstruction, data: Path, budget: Budget, display: Display, device: torch.device
) -> tuple[RunOptions, Capture]:
    """Options of the training within the time left, and the dataset read with them."""
    train, given = task.train, task.capture.downscale
    options = RunOptions(data, replace(task.capture, downscale=given or 1), train)
    with display.waiting(f"reading {data}"):
        capture = options.read_capture()
    if not budget.whole_s:
        return options, capture
    prepare_kernels(train, (view.camera for view in capture.views), display, device)
    if given is None:
        options, capture = reduced_to_fit(options, capture, display, budget.left_minutes)
    with display.waiting("preparing the photographs"):
        evaluation_s = seconds_to_evaluate(capture, train, device)
    minutes = round(budget.training_minutes(evaluation_s), 3)
    return replace(options, train=replace(options.train, minutes=minutes)), capture
