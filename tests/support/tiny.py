"""Runs of a second on a dataset of three pictures."""

from dataclasses import replace
from pathlib import Path

import torch

from sfumato.capture.dataset import Capture, load_capture
from sfumato.ops.backend import HOST
from sfumato.training import loop
from sfumato.training.config import AdcConfig, McmcConfig, Schedule, TrainConfig
from sfumato.training.state import TrainState, start

CAP = 24
OFTEN = Schedule(refine_every=4, refine_from=0.0, refine_until=0.9)
EAGER = AdcConfig(threshold=1e-9, prune_opacity=0.02)
FERTILE = McmcConfig(growth=1.5)


def tiny_config(**changes) -> TrainConfig:
    """Twenty steps with refinement every four."""
    return replace(TrainConfig(steps=20, schedule=OFTEN, adc=EAGER, mcmc=FERTILE), **changes)


def tiny_start(root: Path, config: TrainConfig, device: torch.device = HOST) -> tuple[Capture, TrainState]:
    capture = load_capture(root)
    return capture, start(capture, config, cap=CAP, device=device)


class Halt(Exception):
    pass


def train_until(capture: Capture, state: TrainState, step: int) -> TrainState:
    """Train and stop after ``step`` steps in total, like a signal."""

    def stop(state, stats):
        if state.step == step:
            raise Halt

    try:
        return loop.train(capture, state, (stop,))
    except Halt:
        return state


def differences(first, second, place: str = "") -> list[str]:
    """Names of the entries in which two states differ bitwise, ignoring times."""
    if isinstance(first, torch.Tensor):
        same = isinstance(second, torch.Tensor) and torch.equal(first, second)
        return [] if same and first.dtype == second.dtype else [place]
    if isinstance(first, dict):
        if not isinstance(second, dict) or first.keys() != second.keys():
            return [place]
        names = (name for name in first if name != "seconds")
        return [
            found for name in names for found in differences(first[name], second[name], f"{place}/{name}")
        ]
    return [] if first == second else [place]
