"""How the time of a training step and the memory grow with Gaussians and pixels.

    python benchmarks/growth.py

A synthetic scene fills the picture; each size runs in a process of its own, since the peak of a
process never falls. Steps with a refinement are counted in the peak and not in the time.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from harness import hand_over, in_process, print_table, save

GAUSSIANS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
# Width and height of about a tenth, a third and one megapixel.
SIZES_PX = ((366, 274), (640, 480), (1152, 868))
LIMIT_BYTES = 6 << 30
GIB = 1 << 30
STEPS = 5


def synthetic(count: int, generator):
    """Gaussians between depths 2 and 6 in the view of a camera as wide as its focal length."""
    import torch

    from sfumato.scene.gaussians import Gaussians

    depth = 2 + 4 * torch.rand(count, 1, generator=generator)
    across = (torch.rand(count, 2, generator=generator) - 0.5) * depth
    # Each covers several times its share of the picture, as in a trained scene.
    scales = depth / count**0.5 * torch.exp(0.5 * torch.randn(count, 3, generator=generator))
    return Gaussians(
        torch.cat([across, depth], dim=1),
        scales.log(),
        torch.randn(count, 4, generator=generator),
        torch.randn(count, generator=generator),
        0.2 * torch.randn(count, 16, 3, generator=generator),
    )


def noise(width: int, height: int) -> SimpleNamespace:
    """What training reads of a capture, of one picture of noise."""
    import numpy as np
    import torch

    from sfumato.capture.pixels import Pixels
    from sfumato.scene.cameras import Camera

    def load() -> Pixels:
        return Pixels(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))

    camera = Camera(torch.eye(4), (float(width),) * 2, (width / 2, height / 2), (width, height))
    view = SimpleNamespace(camera=camera, load=load)
    view.at_side = lambda side_px: view
    known = {"depth": 1.0, "points": None, "render_background": (0.0, 0.0, 0.0), "view_weights": None}
    return SimpleNamespace(train_views=(view,), **known)


def measure(count: int, width: int, height: int) -> dict[str, Any]:
    """Seconds of a step and peak bytes of this process, refinement included."""
    import torch

    from sfumato import machine
    from sfumato.training.config import AdcConfig, TrainConfig
    from sfumato.training.densify import make_densifier
    from sfumato.training.state import start
    from sfumato.training.step import train_step
    from sfumato.training.warm_up import warm_up

    torch.set_num_threads(1)
    # Half of the run is over: full resolution and SH degree 3.
    config = TrainConfig(steps=1000, clearance=0.0, adc=AdcConfig(threshold=0.0))
    # Growth ends now, so that what is allowed is nearly all.
    growing = replace(config, schedule=replace(config.schedule, refine_every=1, refine_until=0.51))
    steady = replace(config, schedule=replace(config.schedule, refine_every=10**9))
    warm_up(config)
    init = synthetic(int(0.9 * count), torch.Generator().manual_seed(0))
    capture = noise(width, height)
    state = start(capture, growing, cap=count, init=init)
    state.step = config.steps // 2 + 1
    before = len(state.population)
    for _ in range(2):
        train_step(state, [0])
    state.config, state.parts["densifier"] = steady, make_densifier(steady)
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        train_step(state, [0])
        seconds.append(time.perf_counter() - began)
    return {
        "gaussians": len(state.population),
        "grew_from": before,
        "size_px": [width, height],
        "step_s": min(seconds),
        "peak_memory_bytes": machine.peak_memory_bytes(),
    }


def main() -> None:
    """Measure every size in its own process, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    parser.add_argument("--measure", nargs=3, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        hand_over(measure(*given.measure))
        return
    sizes = [(count, size) for size in SIZES_PX for count in GAUSSIANS]
    if given.quick:
        sizes = [(2000, (96, 64)), (4000, (96, 64))]
    results = [in_process(__file__, ["--measure", str(n), *map(str, size)]) for n, size in sizes]
    rows = [
        [
            found["gaussians"],
            "x".join(map(str, found["size_px"])),
            1e3 * found["step_s"],
            found["peak_memory_bytes"] / GIB,
        ]
        for found in results
    ]
    print_table("A training step", ["Gaussians", "pixels", "ms", "peak GiB"], rows)
    if not given.quick:
        peak = results[-1]["peak_memory_bytes"]
        verdict = "stays under" if peak < LIMIT_BYTES else "EXCEEDS"
        print(
            f"1 million Gaussians at 1 megapixel: {peak / GIB:.2f} GiB {verdict} {LIMIT_BYTES / GIB:.0f} GiB"
        )
    save("growth", results, quick=given.quick)


if __name__ == "__main__":
    main()
