"""What a scene starts from: random, sparse, dense or measured points, over the steps of training.

    python benchmarks/starts.py DATA [--sets still_life fox_colmap] [--steps 600]

PSNR of held-out views on the path of the training views and off it, as of benchmarks/envelope.py. Random: as
many points as the sparse start has, in front of the cameras. Sparse: the points of the dataset. Dense: those
and a tenth of what a scanner would measure from three places of the still life's path, as points. Measured:
the same, but as surface splats. Where nothing is measured there are the first two. All may grow to one number
of Gaussians.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness import print_table, save
from splat import KEPT
from splat_or_train import scanned

from envelope import DOWNSCALE, OWN, parted
from sfumato import (
    Capture,
    Gaussians,
    MeasuredCloud,
    RasterSettings,
    TrainConfig,
    evaluate,
    load_capture,
    splat,
    train,
)
from sfumato.capture.points import PointCloud
from sfumato.scene.changes import merged
from sfumato.training.start import gaussians_from_points

SETS = ("still_life", "fox_colmap")
# Depths of random points, in the median distance of the scene from the cameras.
_NEAREST, _FARTHEST = 0.3, 3.0


def random_points(capture: Capture, count: int, seed: int) -> PointCloud:
    """Points of random colours at random depths, each in the picture of a random training view."""
    random = np.random.default_rng(seed)
    xyz = np.empty((count, 3))
    for row, number in enumerate(random.integers(len(capture.train_views), size=count)):
        camera = capture.train_views[number].camera
        depth = capture.depth * random.uniform(_NEAREST, _FARTHEST)
        pixel = random.uniform(0, camera.size_px)
        local = depth * np.append((pixel - camera.centre_px) / camera.focal_px, 1.0)
        pose = camera.camera_from_world.double().numpy()
        xyz[row] = (local - pose[:3, 3]) @ pose[:3, :3]
    return PointCloud(xyz.astype(np.float32), random.integers(0, 256, (count, 3)).astype(np.uint8))


def starts(
    capture: Capture, measured: MeasuredCloud | None, seed: int
) -> Iterator[tuple[str, Capture, Gaussians | None]]:
    """The name of each start, the capture with its points, and the scene that it starts from instead."""
    points = random_points(capture, len(capture.points), seed)
    yield "random", replace(capture, points=points), None
    yield "sparse", capture, None
    if measured is None:
        return
    some = measured.select(np.arange(seed % KEPT, len(measured), KEPT))
    sparse = capture.points
    xyz = np.concatenate([sparse.xyz, some.xyz]).astype(np.float32)
    rgb = np.concatenate([sparse.rgb, np.asarray(some.rgb)]).astype(np.uint8)
    yield "dense", replace(capture, points=PointCloud(xyz, rgb)), None
    yield "measured", capture, merged(splat(some).scene, gaussians_from_points(sparse))


def followed(
    capture: Capture, init: Gaussians | None, off: list[str], config: TrainConfig, at: list[int]
) -> tuple[list[dict[str, Any]], float]:
    """PSNR on and off the path after so many steps, and the seconds of training."""
    rows: list[dict[str, Any]] = []

    def look(state: Any, _: Any) -> None:
        if state.step not in at:
            return
        settings = RasterSettings(background=capture.render_background, antialiased=True, depth=False)
        report = evaluate(state.gaussians.detach(), capture.test_views, settings, lpips=False)
        psnr = {view.name: view.psnr for view in report.views}
        on_path, off_path = (
            float(np.mean([value for name, value in psnr.items() if (name in off) is there]))
            for there in (False, True)
        )
        count = len(state.gaussians)
        rows.append({"step": state.step, "on_path": on_path, "off_path": off_path, "gaussians": count})

    state = train(capture, config, init=init, callbacks=[look])
    return rows, state.seconds


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=DOWNSCALE, default=list(SETS))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--shrink", type=int, default=2, help="further factor by which pictures are reduced")
    parser.add_argument("--max-gaussians", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a trial that is not kept")
    given = parser.parse_args()
    at = [max(1, given.steps // 8), given.steps // 4, given.steps // 2, given.steps]
    results: list[dict[str, Any]] = []
    for name in given.sets:
        folder = OWN.get(name, given.data / name)
        capture = load_capture(folder, downscale=DOWNSCALE[name] * given.shrink)
        measured = scanned(load_capture(folder, downscale=2)) if name in OWN else None
        capture, off, _ = parted(capture, name in OWN)
        for start, begun, init in starts(capture, measured, given.seed):
            config = TrainConfig(
                steps=given.steps, seed=given.seed, antialiased=True, max_gaussians=given.max_gaussians
            )
            rows, seconds = followed(begun, init, off, config, at)
            count = len(begun.points if init is None else init)
            found = {"set": name, "start": start, "starts_with": count, "seconds": seconds, "curve": rows}
            results.append(found)
            print(found, flush=True)
    headings = ["set", "start", "Gaussians", *(f"{where} {step}" for where in ("on", "off") for step in at)]
    table = [
        [one["set"], one["start"], one["curve"][-1]["gaussians"]]
        + [row[key] for key in ("on_path", "off_path") for row in one["curve"]]
        for one in results
    ]
    print_table("PSNR over steps, by the start", headings, table)
    save("starts", results, quick=given.quick)


if __name__ == "__main__":
    main()
