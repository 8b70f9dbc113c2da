"""The state with which a run begins, or goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from sfumato.capture.dataset import Capture
from sfumato.runs.block_file import parts_around, read_block
from sfumato.runs.checkpoint import latest_checkpoint
from sfumato.runs.folder import RunFolder
from sfumato.runs.run_options import RunOptions, check_same_run
from sfumato.scene.files import load
from sfumato.training.plan import TrainingPlan, make_plan
from sfumato.training.state import TrainState, start


def first_state(
    capture: Capture, options: RunOptions, device: torch.device
) -> tuple[TrainState, TrainingPlan]:
    """The state before the first step, and the plan.

    Args:
        capture: the training data.
        options: of the run.
        device: of the scene.
    """
    init = load(options.init) if options.init else None
    around = read_block(options.block).scene_around() if options.block else None
    plan = make_plan(
        capture,
        options.train,
        start_count=len(capture.points if init is None else init),
        fixed_count=0 if around is None else len(around),
    )
    parts = parts_around(around, options.train)
    return start(capture, options.train, cap=plan.cap, init=init, parts=parts, device=device), plan


def resumed_state(
    folder: RunFolder,
    capture: Capture,
    identity: dict[str, Any],
    options: RunOptions,
    device: torch.device,
) -> tuple[TrainState, TrainingPlan]:
    """The state in the last checkpoint, and the plan.

    Args:
        folder: of the run.
        capture: the training data.
        identity: of the training data.
        options: of the run.
        device: of the scene.

    Raises:
        ConfigError: the options are not those of the run.
    """
    checkpoint = latest_checkpoint(folder.checkpoints)
    check_same_run(checkpoint.options, options)
    around = read_block(options.block).scene_around() if options.block else None
    parts = parts_around(around, options.train)
    state = replace(checkpoint, options=options).restore(capture, identity, device, parts)
    plan = make_plan(
        capture,
        replace(options.train, max_gaussians=state.cap),
        start_count=state.start_count,
        fixed_count=0 if around is None else len(around),
    )
    return state, plan
