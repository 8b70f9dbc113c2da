"""Quality of held-out views against seconds of training.

    python benchmarks/time_to_psnr.py DATA --sets fox_colmap can --minutes 1.5

DATA is a folder with the datasets of PRESETS. The scene is copied at some moments of the run and
measured after it on every held-out view, so that measuring takes no time from training.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from harness import RESULTS, print_table, save

from sfumato import evaluate, load_capture, train
from sfumato.capture.dataset import Capture
from sfumato.evaluation.chart import training_chart
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig

# Shares of the run at whose end the scene is looked at.
MOMENTS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Preset:
    """How a dataset is trained here; everything else is the default.

    Attributes:
        folder: in the data folder.
        downscale: of its photographs.
    """

    folder: str
    downscale: int = 1


PRESETS = (
    Preset("fox_colmap", downscale=2),
    Preset("south_building", downscale=2),
    Preset("can", downscale=2),
    Preset("cup", downscale=2),
    Preset("lego"),
)


@dataclass(frozen=True)
class Snapshot:
    """The scene at a moment of training."""

    seconds: float
    step: int
    loss: float
    gaussians: Gaussians


def run(capture: Capture, minutes: float) -> list[Snapshot]:
    """Train with the defaults and return the scenes on the way, the last one at the end."""
    config, found, pending = TrainConfig(minutes=minutes), [], list(MOMENTS)

    def look(state, stats):
        if pending and state.progress >= pending[0]:
            while pending and state.progress >= pending[0]:
                pending.pop(0)
            found.append(Snapshot(state.seconds, state.step, stats.loss, state.gaussians.map(torch.clone)))

    state = train(capture, config, callbacks=(look,))
    last_loss = found[-1].loss if found else 0.0
    return [*found, Snapshot(state.seconds, state.step, last_loss, state.gaussians)]


def measure(preset: Preset, data: Path, minutes: float) -> dict[str, Any]:
    """The curve of one dataset."""
    capture = load_capture(data / preset.folder, downscale=preset.downscale)
    background = capture.background or (0.0, 0.0, 0.0)
    curve = []
    for snapshot in run(capture, minutes):
        report = evaluate(snapshot.gaussians, capture.test_views, background=background, lpips=False)
        curve.append(
            {
                "seconds": round(snapshot.seconds, 2),
                "step": snapshot.step,
                "gaussians": len(snapshot.gaussians),
                "psnr": report.psnr,
                "ssim": report.ssim,
            }
        )
    width, height = capture.test_views[0].camera.size_px
    return {**asdict(preset), "size_px": [width, height], "held_out": len(capture.test_views), "curve": curve}


def main() -> None:
    """Measure the datasets that are there, draw, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--sets", nargs="+", choices=[p.folder for p in PRESETS], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a trial whose numbers mean nothing")
    given = parser.parse_args()
    presets = [p for p in PRESETS if p.folder in (given.sets or [p.folder])]
    presets = [p for p in presets if (given.data / p.folder).is_dir()]
    if not presets:
        parser.error(f"{given.data} has none of: {', '.join(p.folder for p in PRESETS)}")
    if given.quick:
        presets = [replace(presets[0], downscale=8)]
    minutes = 0.05 if given.quick else given.minutes
    results = []
    for preset in presets:
        print(f"{preset.folder}: training for {minutes:g} minutes", flush=True)
        found = measure(preset, given.data, minutes)
        results.append(found)
        width, height = found["size_px"]
        rows = [[p["seconds"], p["psnr"], p["ssim"], p["step"], p["gaussians"]] for p in found["curve"]]
        print_table(
            f"{preset.folder} at {width}x{height}, {found['held_out']} views held out",
            ["seconds", "PSNR, dB", "SSIM", "steps", "Gaussians"],
            [[f"{row[0]:.1f}", f"{row[1]:.2f}", f"{row[2]:.4f}", *row[3:]] for row in rows],
        )
        if not given.quick:
            RESULTS.mkdir(exist_ok=True)
            path = RESULTS / f"{preset.folder}_{minutes:g}min.png"
            training_chart(found["curve"], path, title=f"{preset.folder}, {width}x{height}")
    save(f"time_to_psnr_{minutes:g}min", results, quick=given.quick)


if __name__ == "__main__":
    main()
