"""Quality of held-out views of many kinds of captures after a fixed number of steps.

    python benchmarks/captures.py DATA --sets can mouse forward_facing

DATA is a folder with the datasets of PRESETS; ``still_life`` and ``forward_facing`` need none. Equal steps
and seeds give equal scenes, so that two versions of the code compare whatever else the machine does; only
the seconds depend on that.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forward_facing import write_forward_facing
from harness import HERE, hand_over, in_process, print_table, save

from sfumato import evaluate, load_capture, train
from sfumato.training.config import TrainConfig


@dataclass(frozen=True)
class Preset:
    """How a capture is trained here; everything else is the default.

    Attributes:
        downscale: of its photographs.
        steps: of training.
    """

    downscale: int
    steps: int = 800


PRESETS = {
    "fox_colmap": Preset(4),
    "south_building": Preset(4),
    "can": Preset(5),
    "cup": Preset(4),
    "mouse": Preset(8),
    "lego": Preset(3),
    "still_life": Preset(2),
    "forward_facing": Preset(1),
}
OWN = {"still_life": HERE.parent / "demo" / "still_life"}


def measure(name: str, folder: Path, pictures: Path | None) -> dict[str, Any]:
    """Train a capture and score its held-out views."""
    preset = PRESETS[name]
    capture = load_capture(folder, downscale=preset.downscale)
    state = train(capture, TrainConfig(steps=preset.steps))
    report = evaluate(
        state.gaussians,
        capture.test_views,
        background=capture.background or (0.0, 0.0, 0.0),
        lpips=False,
        folder=pictures and pictures / name,
    )
    return {
        "capture": name,
        "size_px": list(capture.test_views[0].camera.size_px),
        "held_out": len(capture.test_views),
        "steps": preset.steps,
        "psnr": round(report.psnr, 3),
        "ssim": round(report.ssim, 4),
        "gaussians": len(state.population),
        "seconds": round(state.seconds, 1),
    }


def main() -> None:
    """Measure the captures that are there, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=PRESETS, metavar="NAME", default=list(PRESETS))
    parser.add_argument("--pictures", type=Path, help="folder for the held-out views beside their renders")
    parser.add_argument("--quick", action="store_true", help="a trial that is not kept")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        hand_over(measure(given.sets[0], given.data, given.pictures))
        return
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        OWN["forward_facing"] = Path(scratch)
        if "forward_facing" in given.sets:
            write_forward_facing(Path(scratch))
        for name in given.sets:
            folder = OWN.get(name, given.data / name)
            if not folder.is_dir():
                print(f"{folder} is not there: left out")
                continue
            arguments = [str(folder), "--sets", name, "--one"]
            arguments += ["--pictures", str(given.pictures)] if given.pictures else []
            results.append(in_process(__file__, arguments))
            print(json.dumps(results[-1]), flush=True)
    headings = list(results[0]) if results else []
    print_table("Captures", headings, [[str(row[key]) for key in headings] for row in results])
    save("captures", results, quick=given.quick)


if __name__ == "__main__":
    main()
