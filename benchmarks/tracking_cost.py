"""What a time step costs: seconds against Gaussians, cameras, pixels and the share that moves.

    python benchmarks/tracking_cost.py demo/moving_room --test-cameras cam00 cam15

Each row has a first step of its own, and the mean of the time steps after the second.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from harness import print_table, save

from sfumato.runs.track_folder import TrackFolder
from sfumato.runs.track_options import SequenceOptions, TrackOptions
from sfumato.runs.track_run import run_tracking
from sfumato.sequences import load_sequence
from sfumato.tracking.track_config import TrackConfig


@dataclass(frozen=True)
class Row:
    """Changes of the options; one in ``every`` training cameras is held out as well."""

    sequence: dict[str, Any] = field(default_factory=dict)
    every: int | None = None


ROWS = {
    "as it is": Row(),
    "half as many pixels a side": Row({"downscale": 2}),
    "half the cameras": Row(every=2),
    "two thirds of the cameras": Row(every=3),
    "10,000 Gaussians": Row({"max_gaussians": 10_000}),
    "20,000 Gaussians": Row({"max_gaussians": 20_000}),
}


def measure(data: Path, name: str, sequence: SequenceOptions, cameras: list[str]) -> dict[str, Any]:
    """Track some steps with the options of a row."""
    row = ROWS[name]
    left_out = cameras[:: row.every] if row.every else []
    sequence = replace(sequence, test_cameras=(*(sequence.test_cameras or ()), *left_out), **row.sequence)
    with tempfile.TemporaryDirectory() as scratch:
        folder = TrackFolder(Path(scratch, "run"))
        run_tracking(folder.path, TrackOptions(data, sequence, TrackConfig(births=False)))
        metrics = json.loads(folder.metrics.read_text("utf-8"))
    last = metrics["steps"][-1]
    return {
        "": name,
        "cameras": len(cameras) - len(left_out),
        "gaussians": last["gaussians"],
        "moving": last["moving"],
        "step_s": fmean(step["seconds"] for step in metrics["steps"][2:]),
        "first_step_s": metrics["train"]["first_step_seconds"],
    }


def main() -> None:
    """Measure every row, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--test-cameras", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=6, help="steps in time")
    parser.add_argument("--steps-first", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="a trial that is not kept")
    given = parser.parse_args()
    data = given.data.absolute()
    sequence = SequenceOptions(
        test_cameras=tuple(given.test_cameras),
        steps=given.steps,
        steps_first=given.steps_first,
        steps_refine=0,
    )
    with tempfile.TemporaryDirectory() as work:
        video = load_sequence(data, work=Path(work), downscale=1, test_cameras=sequence.test_cameras, seed=0)
    cameras = [camera.name for camera in video.train_cameras]
    results = []
    for name in ROWS:
        results.append(measure(data, name, sequence, cameras))
        print(json.dumps(results[-1]), flush=True)
    headings = list(results[0])
    print_table("A time step", headings, [[row[key] for key in headings] for row in results])
    save("tracking_cost", results, quick=given.quick)


if __name__ == "__main__":
    main()
