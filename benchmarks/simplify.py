"""Simplified scenes against the scenes they are made of, ours and splat-transform's at the same count.

    python benchmarks/simplify.py DATA --splat-transform 'node splat-transform/bin/cli.mjs' --runs out/fox

DATA is the folder with ``splats``, files of other tools, which are rendered from cameras around them;
``--runs`` are run folders of ``sfumato train``, rendered from their held-out cameras and also compared with
the photographs. PSNR is between our own renders. Seconds of splat-transform include its start and its reading
and writing of a .ply.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from harness import print_table
from harness import save as keep

from sfumato import Gaussians, load, orbit, psnr, rasterize, save, simplify
from sfumato.runs.folder import RunFolder
from sfumato.scene.cameras import Camera

FILES = {
    "guitar": "playcanvas/guitar.compressed.ply",
    "logo": "playcanvas/logo_sog/meta.json",
    "model": "juleelee/model.splat",
}
ELEVATIONS_DEG, AROUND, SIZE_PX = (10.0, 45.0), 4, (640, 480)
MOST_VIEWS = 8


def cameras_around(scene: Gaussians) -> list[Camera]:
    """Two circles around a scene, at 2.2 times the distance that four fifths of its centres are within."""
    means = scene.means.numpy()
    reach = np.quantile(np.linalg.norm(means - np.median(means, axis=0), axis=1), 0.8)
    return [
        camera
        for elevation in ELEVATIONS_DEG
        for camera in orbit(
            scene, AROUND, radius=2.2 * float(reach), elevation_deg=elevation, size_px=SIZE_PX
        )
    ]


def renders(scene: Gaussians, cameras: Sequence[Camera]) -> list[torch.Tensor]:
    """Images of a scene."""
    with torch.no_grad():
        return [rasterize(scene, camera).image.clamp(0, 1) for camera in cameras]


def decibels(images: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> float:
    """Mean PSNR of pairs of images."""
    return fmean(float(psnr(one, other)) for one, other in zip(images, others, strict=True))


def theirs(command: Sequence[str], folder: Path, share: float) -> Callable[[Gaussians], Gaussians]:
    """A simplification by splat-transform."""

    def simplified(scene: Gaussians) -> Gaussians:
        save(scene, folder / "scene.ply")
        count = str(max(1, round(share * len(scene))))
        made = folder / "theirs.ply"
        call = [*command, "-q", "-w", "-g", "cpu", folder / "scene.ply", "--decimate", count, made]
        subprocess.run(call, check=True)
        return load(made)

    return simplified


def compared(
    scene: Gaussians,
    cameras: Sequence[Camera],
    photographs: Sequence[torch.Tensor],
    methods: dict[str, Callable[[Gaussians], Gaussians]],
) -> dict[str, Any]:
    """Counts, seconds and PSNR of each method on a scene."""
    truth = renders(scene, cameras)
    found: dict[str, Any] = {"gaussians": len(scene), "sh_degree": scene.sh_degree}
    if photographs:
        found["photographs_psnr"] = decibels(truth, photographs)
    for name, method in methods.items():
        began = time.perf_counter()
        made = method(scene)
        seconds = time.perf_counter() - began
        images = renders(made, cameras)
        found[name] = {"gaussians": len(made), "seconds": seconds, "psnr": decibels(images, truth)}
        if photographs:
            found[name]["photographs_psnr"] = decibels(images, photographs)
    return found


def scenes(data: Path, runs: Sequence[Path], views: int) -> dict[str, tuple[Gaussians, list, list]]:
    """Scenes by name, with their cameras and photographs."""
    found: dict[str, tuple[Gaussians, list, list]] = {}
    for name, path in FILES.items():
        scene = load(data / "splats" / path)
        found[name] = (scene, cameras_around(scene)[:views], [])
    for run in runs:
        folder = RunFolder(run)
        chosen = folder.read_options().read_capture(None).test_views[:views]
        pixels = [torch.from_numpy(view.load().rgb.copy()).float() / 255 for view in chosen]
        found[run.name] = (load(folder.scene), [view.camera for view in chosen], pixels)
    return found


def main() -> None:
    """Measure, print a table and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--splat-transform", default=os.environ.get("SFUMATO_SPLAT_TRANSFORM"))
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as name:
        methods = {"sfumato": lambda scene: simplify(scene, given.share)}
        if given.splat_transform:
            methods["splat_transform"] = theirs(shlex.split(given.splat_transform), Path(name), given.share)
        else:
            print("splat-transform is left out: name its command with --splat-transform")
        for title, known in scenes(given.data, given.runs, 1 if given.quick else MOST_VIEWS).items():
            results[title] = compared(*known, methods)
            print(title, results[title], flush=True)
    rows = []
    for title, found in results.items():
        for method in methods:
            one = found[method]
            row = [title, found["gaussians"], method, one["gaussians"], one["seconds"], f"{one['psnr']:.2f}"]
            told = [f"{part['photographs_psnr']:.2f}" for part in (found, one) if "photographs_psnr" in part]
            rows.append([*row, *(told or ["-", "-"])])
    headings = ("scene", "Gaussians", "by", "left", "s", "PSNR", "photographs, whole", "photographs, left")
    print_table("PSNR against the whole scene, dB", headings, rows)
    keep("simplify", results, quick=given.quick)


if __name__ == "__main__":
    main()
