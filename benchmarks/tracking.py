"""What each part of tracking buys: the same first step, then all steps with one part switched off.

    python benchmarks/tracking.py demo/moving_room --test-cameras cam00 cam15 --steps-first 1500

Figures of the held-out cameras are means over all steps; those of true tracks are there where the dataset has
them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import print_table, save

from sfumato.runs.track_folder import TrackFolder
from sfumato.runs.track_options import SequenceOptions, TrackOptions
from sfumato.runs.track_run import run_tracking
from sfumato.tracking.track_config import Priors, TrackConfig

ALL = TrackConfig()
VARIANTS = {
    "all": ALL,
    "no local rigidity": replace(ALL, priors=replace(Priors(), rigidity=0.0)),
    "no rotation similarity": replace(ALL, priors=replace(Priors(), rotation=0.0)),
    "no isometry": replace(ALL, priors=replace(Priors(), isometry=0.0)),
    "no priors": replace(ALL, priors=Priors(0.0, 0.0, 0.0)),
    "no control nodes": replace(ALL, nodes=0),
    "no forward motion": replace(ALL, forward_motion=False),
    "no births": replace(ALL, births=False),
    "softened edges": replace(ALL, soften_edges=True),
    "no training on all steps": ALL,
}


def measure(
    data: Path, sequence: SequenceOptions, variant: str, first: Path | None, out: Path
) -> dict[str, Any]:
    """Track with a variant, from a first step that is done if there is one."""
    if variant == "no training on all steps":
        sequence = replace(sequence, steps_refine=0)
    folder, options = TrackFolder(out), TrackOptions(data.absolute(), sequence, VARIANTS[variant])
    if first is not None:
        folder.path.mkdir()
        folder.write_options(options)
        shutil.copytree(first, folder.first)
    run_tracking(out, options)
    metrics = json.loads(folder.metrics.read_text("utf-8"))
    steps, tracks = metrics["steps"][1:], metrics["tracks"] or {}
    return {
        "variant": variant,
        "psnr": metrics["test"]["psnr"],
        "psnr_changed": metrics["test"]["psnr_changed"],
        "last_psnr_changed": steps[-1]["psnr_changed"],
        "mte_cm": 100 * tracks.get("mte", float("nan")),
        "survival": tracks.get("survival", float("nan")),
        "step_s": sum(row["seconds"] for row in steps) / len(steps),
    }


def main() -> None:
    """Measure every variant, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--test-cameras", nargs="+")
    parser.add_argument("--steps", type=int, help="steps in time at most")
    parser.add_argument("--steps-first", type=int, default=SequenceOptions().steps_first)
    parser.add_argument("--steps-refine", type=int, default=SequenceOptions().steps_refine)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, metavar="NAME", default=list(VARIANTS))
    parser.add_argument("--quick", action="store_true", help="a trial that is not kept")
    given = parser.parse_args()
    cameras = tuple(given.test_cameras) if given.test_cameras else None
    sequence = SequenceOptions(
        test_cameras=cameras,
        steps=given.steps,
        steps_first=given.steps_first,
        steps_refine=given.steps_refine,
    )
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        first: Path | None = None
        for number, variant in enumerate(given.variants):
            out = Path(scratch, str(number))
            results.append(measure(given.data, sequence, variant, first, out))
            first = first or TrackFolder(out).first
            print(json.dumps(results[-1]), flush=True)
    headings = list(results[0])
    print_table("Tracking", headings, [[row[key] for key in headings] for row in results])
    save("tracking", results, quick=given.quick)


if __name__ == "__main__":
    main()
