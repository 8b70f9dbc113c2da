"""Quality of held-out views at the photographs' own size against minutes of training.

    python benchmarks/sharpness.py DATA --sets fox_colmap can --minutes 2 5 10 30

DATA is a folder with the datasets of SETS; ``still_life`` needs none. Photographs are reduced as
``reconstruct`` would within the time, or by ``--downscale``; held-out views are compared at native size,
whatever that was. One training per set lasts as long as the longest time, and its scene is kept at the
others, so a scene in between is what that training has until then: not yet at its last resolution, not
averaged. With ``--separate`` each time is a training of its own, as ``--minutes`` gives it. Keeping and
comparing scenes is no time of training.

Training runs in a process of its own, whose Python ``--python PATH`` names: with that of another work tree
it trains with the package installed there, and the scenes are compared by this one. ``--label NAME`` keeps
the results of each beside the others:

    git worktree add ../before COMMIT && python -m venv ../before/.venv
    ../before/.venv/bin/pip install -e ../before
    python benchmarks/sharpness.py DATA --python ../before/.venv/bin/python --label before

Options of training are given by name: ``--options ssim_weight=0.3 schedule.settle_from=0.9``.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SETS = ("fox_colmap", "south_building", "can", "cup", "still_life", "lego")
OWN = {"still_life": HERE.parent / "demo" / "still_life"}
# Views whose pairs are counted.
COUNTED = 4
ROW = "minutes", "trained_px", "psnr", "ssim", "gaussians", "pairs_per_pixel", "epochs", "steps"


def with_options(config: Any, options: list[str]) -> Any:
    """A configuration with options given as ``name=value``, names of parts with a dot."""
    for option in options:
        name, _, text = option.partition("=")
        *parts, last = name.split(".")
        value: Any = text
        with suppress(ValueError, SyntaxError):
            value = ast.literal_eval(text)
        holders = [config]
        for part in parts:
            holders.append(getattr(holders[-1], part))
        for holder, place in zip(reversed(holders), reversed([*parts, last]), strict=True):
            value = replace(holder, **{place: value})
        config = value
    return config


def planned_downscale(size_px: tuple[int, int], minutes: float) -> int:
    """The reduction that ``reconstruct`` chooses; the function stood in other modules once."""
    for name in ("training.plan", "reconstruction.budget", "reconstruct.budget"):
        with suppress(ModuleNotFoundError, AttributeError):
            module = importlib.import_module(f"sfumato.{name}")
            return module.downscale_for(size_px, minutes)
    raise ModuleNotFoundError("sfumato has no budget of a reconstruction")


def train_into(out: Path, folder: Path, minutes: list[float], downscale: int, options: list[str]) -> None:
    """Train a capture, and keep its scene in ``out`` after each of the minutes, with what was spent on it.

    Uses public names alone, so that it runs with other versions of the package.
    """
    import sfumato
    from sfumato import ops

    minutes = sorted(minutes)
    capture = sfumato.load_capture(folder)
    downscale = downscale or planned_downscale(capture.views[0].camera.size_px, minutes[-1])
    if downscale > 1:
        capture = sfumato.load_capture(folder, downscale=downscale)
    compared_px, loss = [0], ops.photometric_loss
    pending, found = minutes[:-1], []

    def counting(image, *arguments, **named):
        compared_px[0] += image.shape[0] * image.shape[1]
        return loss(image, *arguments, **named)

    def keep(state, after):
        sfumato.save(state.gaussians, out / f"{after:g}.ply")
        spent = {"minutes": after, "seconds": state.seconds, "steps": state.step, "pixels": compared_px[0]}
        found.append({**spent, "trained_px": list(capture.views[0].camera.size_px)})

    def look(state, stats):
        began = time.perf_counter()
        while pending and state.seconds >= 60 * pending[0]:
            keep(state, pending.pop(0))
        return time.perf_counter() - began

    ops.photometric_loss = counting
    config = with_options(sfumato.TrainConfig(minutes=minutes[-1]), options)
    keep(sfumato.train(capture, config, callbacks=(look,)), minutes[-1])
    (out / "found.json").write_text(json.dumps(found))


def measure(out: Path, folder: Path, most_views: int) -> list[dict[str, Any]]:
    """Compare the scenes that ``train_into`` kept in ``out``."""
    from sfumato import evaluate, load, load_capture
    from sfumato.capture.dataset import NATIVE_SIDE_PX
    from sfumato.maths.spread import evenly

    capture = load_capture(folder)
    sizes = [view.at_side(NATIVE_SIDE_PX).camera.size_px for view in capture.train_views]
    native_px = sum(width * height for width, height in sizes)
    test = capture.test_views
    views = [test[place].at_side(NATIVE_SIDE_PX) for place in evenly(len(test), most_views or len(test))]
    rows = []
    for spent in json.loads((out / "found.json").read_text()):
        scene = load(out / f"{spent['minutes']:g}.ply")
        report = evaluate(scene, views, background=capture.render_background, lpips=False)
        pairs = [pairs_per_pixel(scene, views[place].camera) for place in evenly(len(views), COUNTED)]
        rows.append(
            {
                **spent,
                "native_px": list(report.size_px),
                "held_out": len(views),
                "psnr": report.psnr,
                "ssim": report.ssim,
                "gaussians": len(scene),
                "pairs_per_pixel": sum(pairs) / len(pairs),
                "epochs": spent["pixels"] / native_px,
            }
        )
    return rows


def pairs_per_pixel(scene: Any, camera: Any) -> float:
    """Gaussians that are blended in a pixel, on average over a picture."""
    import numpy as np
    import torch
    from plain import composite

    from sfumato import RasterSettings
    from sfumato.ops.cpu.raster.tiles import bin_tiles
    from sfumato.render.projection import ellipses_of

    with torch.no_grad():
        projected, opacities, _ = ellipses_of(scene.detach(), camera, RasterSettings())
    mean, conic, opacity, depth, radius = (
        tensor.numpy()
        for tensor in (projected.mean_px, projected.conic, opacities, projected.depth, projected.radius_px)
    )
    geometry = mean, conic, opacity
    tiles = bin_tiles(*geometry, depth, radius, camera.width, camera.height)
    image = np.zeros((camera.height, camera.width, 3), np.float32)
    colour = np.zeros((len(mean), 3), np.float32)
    blended = composite(
        tiles.order, tiles.pair_rank, tiles.tile_starts, *geometry, colour, camera.width, camera.height, image
    )
    return float(blended.sum() / (camera.width * camera.height))


def one_set(name: str, folder: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Train and measure one capture."""
    rows = []
    for minutes in [[m] for m in sorted(given.minutes)] if given.separate else [given.minutes]:
        with tempfile.TemporaryDirectory() as scratch:
            arguments = [str(folder), "--train-into", scratch, "--minutes", *map(str, minutes)]
            arguments += ["--downscale", str(given.downscale), "--options", *given.options]
            # torch's own threads would only take turns with the kernels'.
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run([given.python, __file__, *arguments], env=environment, check=True)
            rows += measure(Path(scratch), folder, given.views)
    return [{"set": name, **row} for row in rows]


def main() -> None:
    """Train and measure the captures that are there, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, metavar="NAME", default=list(SETS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[2, 5, 10, 30])
    parser.add_argument("--separate", action="store_true", help="a training of its own for each time")
    parser.add_argument("--downscale", type=int, default=0, help="0: as reconstruct chooses it")
    parser.add_argument("--views", type=int, default=25, help="held-out views compared at most; 0: all")
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=VALUE", help="of training")
    parser.add_argument("--python", default=sys.executable, help="whose package trains")
    parser.add_argument("--label", help="end of the name of the results")
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    parser.add_argument("--train-into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train_into:
        train_into(given.train_into, given.data, given.minutes, given.downscale, given.options)
        return
    from harness import print_table, save

    if given.quick:
        given.sets, given.minutes, given.downscale, given.views = ["still_life"], [0.02, 0.04], 4, 2
    results: list[dict[str, Any]] = []
    for name in given.sets:
        folder = OWN.get(name, given.data / name)
        if not folder.is_dir():
            print(f"{folder} is not there: left out")
            continue
        rows = one_set(name, folder, given)
        width, height = rows[0]["native_px"]
        title = f"{name} at {width}x{height}, {rows[0]['held_out']} views held out"
        cells = [[f"{row[k]:.3f}" if k in ("psnr", "ssim") else row[k] for k in ROW] for row in rows]
        print_table(title, ROW, cells)
        results += rows
        # After each set: all of them take hours.
        label = f"sharpness_{given.label}" if given.label else "sharpness"
        save(
            label, {"separate": given.separate, "options": given.options, "rows": results}, quick=given.quick
        )


if __name__ == "__main__":
    main()
