"""The renderers beside one another: seconds of a picture, of training, and what training comes to.

    python benchmarks/renderers.py ../shared/data

One capture of pinholes is trained by rasterizing and by tracing, with the same steps, options and seeds,
taking turns. The scene that comes of it is drawn with and without gradients by every renderer: projected
ellipses, rays of a bent lens or of a rolling shutter in one order, and the tracer. A capture of a distorting
lens is then traced and rasterized as it was taken, and with its photographs undistorted; all scenes are
compared with held-out photographs of both kinds, as resampled ones are not the same.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from harness import best_seconds, print_table, save

import sfumato
from sfumato.capture.dataset import Capture, load_capture
from sfumato.evaluation.scenes import evaluate
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.lenses import Lens
from sfumato.scene.shutter import Shutter
from sfumato.training import loop
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of
from sfumato.training.state import start
from sfumato.training.warm_up import warm_up

PINHOLES, DISTORTED = ("fox_colmap", 2), ("south_building", 3)
STEPS, GAUSSIANS, SEEDS = 1500, 50_000, (0, 1)
# How far a rolling camera goes, as a share of its distance from the world's origin.
SHUTTER_TRAVEL = 0.01
BENT = Lens("opencv", (0.05, -0.02, 0.001, 0.001))


def trained(capture: Capture, config: TrainConfig, held_out: dict[str, Capture]) -> tuple[Gaussians, dict]:
    """A scene; seconds of training and, by what it is compared with, PSNR."""
    warm_up(config, (view.camera for view in capture.views))
    state = loop.train(capture, start(capture, config, cap=config.max_gaussians))
    found = {"seconds": state.seconds}
    for name, other in held_out.items():
        report = evaluate(
            state.gaussians, other.test_views, settings_of(config, other.render_background), lpips=False
        )
        found[f"psnr {name}"] = report.psnr
    return state.gaussians, found


def pictures(scene: Gaussians, capture: Capture) -> dict[str, dict[str, float]]:
    """Milliseconds of a picture, without and with gradients, by renderer."""
    camera = capture.train_views[0].camera
    end = camera.camera_from_world.clone()
    end[:3, 3] += SHUTTER_TRAVEL * end[:3, 3].norm() * torch.tensor([1.0, 0.5, 0.0], dtype=end.dtype)
    ways = {
        "ellipses": (sfumato.rasterize, camera),
        "rays of a bent lens in one order": (sfumato.rasterize, replace(camera, lens=BENT)),
        "rays of a rolling shutter in one order": (sfumato.rasterize, replace(camera, shutter=Shutter(end))),
        "tracer": (sfumato.raytrace, camera),
    }
    leaves = scene.map(lambda t: t.detach().clone().requires_grad_())
    torch.manual_seed(0)
    pull = torch.randn(camera.height, camera.width, 3)
    found = {}
    for name, (draw, seen_by) in ways.items():

        def with_gradient(draw=draw, seen_by=seen_by):
            (draw(leaves, seen_by).image * pull).sum().backward()

        plain = best_seconds(lambda draw=draw, seen_by=seen_by: draw(scene, seen_by))
        found[name] = {"ms": 1e3 * plain, "ms with gradients": 1e3 * best_seconds(with_gradient)}
    return found


def main() -> None:
    """Train, draw, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = TrainConfig(steps=20 if given.quick else STEPS, max_gaussians=GAUSSIANS)
    found: dict[str, Any] = {"steps": config.steps, "training": {}, "distorted": {}}

    seeds = SEEDS[: 1 if given.quick else None]
    capture = load_capture(given.data / PINHOLES[0], downscale=PINHOLES[1])
    scenes = []
    for seed in seeds:
        for renderer in ("raster", "trace"):
            chosen = replace(config, seed=seed, renderer=renderer)
            scene, run = trained(capture, chosen, {"": capture})
            scenes.append(scene)
            found["training"].setdefault(renderer, []).append(run)
    found["pictures"] = pictures(scenes[0], capture)

    kinds = {
        name: load_capture(given.data / DISTORTED[0], downscale=DISTORTED[1], undistort=undistort)
        for name, undistort in (("as taken", False), ("undistorted", True))
    }
    for seed in seeds:
        for renderer, did in (("trace", "traced"), ("raster", "rasterized")):
            for name, photographs in kinds.items():
                _, run = trained(photographs, replace(config, seed=seed, renderer=renderer), kinds)
                found["distorted"].setdefault(f"{did}, {name}", []).append(run)

    for part in ("training", "distorted"):
        runs = found[part]
        columns = list(next(iter(runs.values()))[0])
        rows = [[name, *(f"{mean(run[c] for run in of):.2f}" for c in columns)] for name, of in runs.items()]
        print_table(f"{part}: {config.steps} steps, mean of {len(seeds)} seeds", ["", *columns], rows)
    rows = [[name, *times.values()] for name, times in found["pictures"].items()]
    print_table(f"{len(scenes[0]):,} Gaussians", ["a picture by", "ms", "ms with gradients"], rows)
    ratio = times_as_long(found["training"])
    print(f"training by tracing takes {ratio:.2f} times as long as by rasterizing")
    save("renderers", found, quick=given.quick)


def times_as_long(training: dict[str, list[dict[str, float]]]) -> float:
    """Seconds of tracing for one of rasterizing."""
    traced, rasterized = (sum(run["seconds"] for run in training[name]) for name in ("trace", "raster"))
    return traced / rasterized


if __name__ == "__main__":
    main()
