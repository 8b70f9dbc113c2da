"""Measure the peak memory of training, from which the constants of sfumato.training.plan are taken.

    python tools/measure_memory.py --gaussians 1000000 --width 1152 --height 864

A few steps are taken across two refinements on the synthetic scene of benchmarks/growth.py, then a
checkpoint and a scene are written. Run it once for each size: the peak of a process never falls.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from growth import noise, synthetic

from sfumato import machine
from sfumato.scene.files import save
from sfumato.training.config import AdcConfig, Schedule, TrainConfig
from sfumato.training.plan import estimate_memory
from sfumato.training.state import start
from sfumato.training.step import train_step
from sfumato.training.warm_up import warm_up

STEPS = 4


def measure(strategy: str, count: int, width: int, height: int) -> int:
    """Peak resident bytes of a run that ends with ``count`` Gaussians."""
    schedule = Schedule(
        half_resolution_until=0.0,
        quarter_resolution_until=0.0,
        refine_from=0.0,
        refine_until=1.0,
        refine_every=2,
    )
    adc = AdcConfig(threshold=0.0)
    config = TrainConfig(steps=STEPS, strategy=strategy, schedule=schedule, adc=adc, clearance=0.0)
    capture = noise(width, height)
    init = synthetic(int(0.9 * count), torch.Generator().manual_seed(0))
    state = start(capture, config, cap=count, init=init)
    print(f"before: {machine.peak_memory_bytes() / 2**20:.0f} MiB")
    warm_up(config)
    print(f"kernels: {machine.peak_memory_bytes() / 2**20:.0f} MiB")
    for _ in range(STEPS):
        stats = train_step(state, [0])
        print(f"{stats.gaussians} Gaussians: {machine.peak_memory_bytes() / 2**20:.0f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state.state_dict(), Path(folder) / "state.pt")
        save(state.gaussians, Path(folder) / "scene.ply")
    return machine.peak_memory_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gaussians", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--strategy", choices=("adc", "mcmc"), default="adc")
    given = parser.parse_args()
    peak = measure(given.strategy, given.gaussians, given.width, given.height)
    estimate = estimate_memory(given.gaussians, pixels=given.width * given.height, photographs_bytes=0)
    print(f"peak {peak / 2**20:.0f} MiB, estimate {estimate / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
