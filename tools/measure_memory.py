"""Measure the peak memory of training, from which the constants of sfumato.train.plan are taken.

    python tools/measure_memory.py --gaussians 1000000 --width 1152 --height 864

A synthetic scene fills the picture with Gaussians of the size that a trained scene has. A few steps
are taken across two refinements, then a checkpoint and a scene are written. Run it once for each size:
the peak of a process never falls.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sfumato import machine
from sfumato.capture.pixels import Pixels
from sfumato.scene.cameras import Camera
from sfumato.scene.files import save
from sfumato.scene.gaussians import Gaussians
from sfumato.train.config import AdcConfig, Schedule, TrainConfig
from sfumato.train.densify import make_densifier
from sfumato.train.loop import train_step
from sfumato.train.plan import estimate_memory
from sfumato.train.population import Population
from sfumato.train.sampler import ViewSampler
from sfumato.train.state import TrainState
from sfumato.train.warm_up import warm_up

STEPS = 4
DEPTHS = (2.0, 6.0)


@dataclass(frozen=True)
class NoiseView:
    """A picture of noise, in memory."""

    camera: Camera

    def load(self) -> Pixels:
        width, height = self.camera.size_px
        return Pixels(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def synthetic(count: int, generator: torch.Generator) -> Gaussians:
    """Gaussians in the frustum of a camera with a focal length of its picture's width."""
    depth = DEPTHS[0] + (DEPTHS[1] - DEPTHS[0]) * torch.rand(count, 1, generator=generator)
    across = torch.rand(count, 2, generator=generator) - 0.5
    # Each covers about eight times its share of the picture, as in trained scenes.
    scales = depth / count**0.5 * torch.exp(0.5 * torch.randn(count, 3, generator=generator))
    return Gaussians(
        torch.cat([across * depth, depth], dim=1),
        scales.log(),
        torch.randn(count, 4, generator=generator),
        torch.randn(count, generator=generator),
        0.2 * torch.randn(count, 16, 3, generator=generator),
    )


def measure(strategy: str, count: int, width: int, height: int) -> int:
    """Peak resident bytes of a run that ends with ``count`` Gaussians."""
    schedule = Schedule(
        half_resolution_until=0.0,
        quarter_resolution_until=0.0,
        refine_from=0.0,
        refine_until=1.0,
        refine_every=2,
    )
    config = TrainConfig(steps=STEPS, strategy=strategy, schedule=schedule, adc=AdcConfig(threshold=0.0))
    generator = torch.Generator().manual_seed(0)
    camera = Camera(torch.eye(4), (float(width),) * 2, (width / 2, height / 2), (width, height))
    begin = int(0.9 * count)
    state = TrainState(
        population=Population.starting_with(synthetic(begin, generator)),
        densifier=make_densifier(config),
        exposure=None,
        sampler=ViewSampler(1, generator),
        generator=generator,
        depth=1.0,
        start_count=begin,
        cap=count,
        background=(0.0, 0.0, 0.0),
    )
    print(f"before: {machine.peak_memory_bytes() / 2**20:.0f} MiB")
    warm_up(config)
    print(f"kernels: {machine.peak_memory_bytes() / 2**20:.0f} MiB")
    for _ in range(STEPS):
        stats = train_step(state, NoiseView(camera), 0, config)
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
