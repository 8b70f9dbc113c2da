"""Where the time of a training step goes.

    python benchmarks/step.py DATA --downscale 2 --gaussians 60000

A scene is trained for half a minute up to the given number of Gaussians, then a hundred steps at full
resolution and SH degree 3, with one refinement among them, are timed by the names of the operations.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from harness import print_table, save
from torch.profiler import ProfilerActivity, profile

from sfumato.capture.dataset import Capture, load_capture
from sfumato.training import loop, step
from sfumato.training.config import TrainConfig
from sfumato.training.part import Shot
from sfumato.training.state import TrainState, start
from sfumato.training.warm_up import warm_up

STEPS = 100
# Rows of the table and the operations in them.
PARTS = {
    "covariance": "covariance",
    "projection": "project",
    "colour": "colour",
    "binning and compositing": "composite",
    "loss and its gradient": "photometric_loss",
    "compositing, backward": "composite_backward",
    "colour, backward": "colour_backward",
    "projection, backward": "project_backward",
    "covariance, backward": "covariance_backward",
    "Adam": "adam_step",
}


class Clock:
    """Seconds spent in what is not an operation, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def timed(self, name: str, function):
        """The same function, its time added to ``name``."""

        def call(*args, **kwargs):
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - began

        return call


def trained(capture: Capture, count: int, minutes: float) -> TrainState:
    """A scene trained briefly, with ``count`` Gaussians if it grows that far."""
    config = TrainConfig(minutes=minutes, max_gaussians=count)
    warm_up(config)
    return loop.train(capture, start(capture, config, cap=count))


def take_steps(state: TrainState, steps: int) -> float:
    """Seconds a step."""
    began = time.perf_counter()
    for _ in range(steps):
        step.train_step(state, [state.sampler.next()])
    return (time.perf_counter() - began) / steps


def measure(state: TrainState, steps: int) -> dict[str, Any]:
    """Milliseconds a step, in all and by part."""
    # Three fifths through a run: full resolution, all of the SH, and still refining.
    whole = 100_000
    state.config = replace(TrainConfig(), steps=whole)
    state.step, state.cap = int(0.6 * whole), len(state.population)
    take_steps(state, 3)
    plain = take_steps(state, steps)
    clock, target = Clock(), Shot.target
    Shot.target = clock.timed("photograph", target)
    densifier = state.parts["densifier"]
    for name in ("observe", "refine", "penalty"):
        setattr(densifier, name, clock.timed("densification", getattr(densifier, name)))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        profiled = take_steps(state, steps)
    Shot.target = target
    found = {event.key: event.cpu_time_total / 1e3 / steps for event in profiler.key_averages()}
    parts = {title: found.get(f"sfumato::{name}", 0.0) for title, name in PARTS.items()}
    parts |= {name: 1e3 * seconds / steps for name, seconds in clock.seconds.items()}
    parts["rest"] = 1e3 * profiled - sum(parts.values())
    return {"ms": 1e3 * plain, "ms_profiled": 1e3 * profiled, "parts_ms": parts}


def main() -> None:
    """Train, measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--downscale", type=int, default=1)
    parser.add_argument("--gaussians", type=int, default=60_000)
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    # As in training: torch's own threads would only take turns with the kernels'.
    torch.set_num_threads(1)
    capture = load_capture(given.data, downscale=given.downscale)
    state = trained(capture, given.gaussians, 0.02 if given.quick else 0.5)
    found = measure(state, 2 if given.quick else STEPS)
    size_px = capture.train_views[0].camera.size_px
    found |= {"data": given.data.name, "size_px": size_px, "gaussians": len(state.population)}
    share = [[name, ms, f"{ms / found['ms_profiled']:.0%}"] for name, ms in found["parts_ms"].items()]
    title = f"{given.data.name} at {size_px[0]}x{size_px[1]}, {found['gaussians']:,} Gaussians"
    print_table(title, ["part of a step", "ms", "share"], [*share, ["together", found["ms_profiled"], ""]])
    print(f"{found['ms']:.1f} ms a step without the profiler")
    save("step", found, quick=given.quick)


if __name__ == "__main__":
    main()
