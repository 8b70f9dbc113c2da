"""Structure from motion on real sets of photographs and on the embedded video: time and how much is found.

    python benchmarks/sfm.py DATA --sets fox sceaux

DATA is a folder with the sets of SETS; those that are missing are left out. The embedded video comes with
its true cameras, and the errors against them are measured after the best similarity.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import RESULTS, print_table, save

from sfumato.capture.readers import read_source
from sfumato.footage import read_footage
from sfumato.sfm.pipeline import SfmResult, structure_from_motion

VIDEO = RESULTS.parents[1] / "demo" / "still_life_video"
SETS = {
    "fox": "fox/images",
    "sceaux": "sceaux/images",
    "mouse": "mouse/images",
    "cup": "cup/images",
    "south_building": "south_building/images",
    "can": "can/images",
    "can (video)": "can/Beer.mp4",
}
STAGES = ("frames", "features", "pairs", "cameras", "dataset")


def measure(source: Path, folder: Path) -> tuple[SfmResult, dict[str, Any]]:
    """Find the cameras of ``source`` in ``folder``; the outcome and its figures."""
    began = time.perf_counter()
    found = structure_from_motion([source], folder)
    seconds = time.perf_counter() - began
    facts = json.loads((folder / "sfm.json").read_text("utf-8"))
    kept = ("pictures", "registered", "points", "mean_track_length", "mean_reprojection_error_px", "found_by")
    return found, {
        "seconds": seconds,
        "stages_s": found.seconds,
        **{key: facts[key] for key in kept},
        "left_out": len(facts["left_out"]),
    }


def errors_of_video(folder: Path) -> dict[str, float]:
    """Errors of the cameras of the embedded video: degrees, and shares of the extent of its path."""
    truth = json.loads((VIDEO / "cameras.json").read_text("utf-8"))["frames"]
    stamps = {round(frame["time_s"], 4): frame for frame in truth}
    times = {p.name: p.time_s for p in read_footage(folder / "work" / "frames").pictures}
    pairs = []
    for frame in read_source(folder).frames:
        true = min(stamps.values(), key=lambda f: abs(f["time_s"] - times[frame.name]))
        pairs.append((np.linalg.inv(frame.camera_from_world), np.array(true["world_from_camera"])))
    found, true = (np.array(poses) for poses in zip(*pairs, strict=True))
    # The file has OpenGL's axes: y up, z backward.
    true = true @ np.diag([1.0, -1.0, -1.0, 1.0])
    scale, rotation, shift = similarity(found[:, :3, 3], true[:, :3, 3])
    off = np.linalg.norm(scale * found[:, :3, 3] @ rotation.T + shift - true[:, :3, 3], axis=1)
    extent = np.linalg.norm(np.ptp(true[:, :3, 3], axis=0))
    turns = np.einsum("ij,njk,nlk->nil", rotation, found[:, :3, :3], true[:, :3, :3])
    cosines = np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1)
    return {
        "median_rotation_error_deg": float(np.median(np.degrees(np.arccos(cosines)))),
        "median_centre_error_share": float(np.median(off) / extent),
        "largest_centre_error_share": float(off.max() / extent),
    }


def similarity(old: np.ndarray, new: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """scale, rotation [3, 3] and shift [3] that take ``old`` [n, 3] to ``new`` best (Umeyama 1991)."""
    old_mean, new_mean = old.mean(axis=0), new.mean(axis=0)
    u, s, vt = np.linalg.svd((new - new_mean).T @ (old - old_mean))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = (s * np.diag(sign)).sum() / ((old - old_mean) ** 2).sum()
    return scale, rotation, new_mean - scale * rotation @ old_mean


def main() -> None:
    """Measure the sets that are there, print a table and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--quick", action="store_true", help="the video alone, and nothing is kept")
    given = parser.parse_args()
    sources = {"still life (video)": VIDEO / "still_life.mp4"}
    if given.data is not None and not given.quick:
        sources |= {
            name: given.data / SETS[name] for name in given.sets if (given.data / SETS[name]).exists()
        }
    results = {}
    for name, source in sources.items():
        with tempfile.TemporaryDirectory() as folder:
            _, results[name] = measure(source, Path(folder) / "out")
            if source.parent == VIDEO:
                results[name] |= errors_of_video(Path(folder) / "out")
        print(name, json.dumps(results[name]), flush=True)
    rows = [
        (
            name,
            f"{found['registered']} of {found['pictures']}",
            found["points"],
            found["mean_reprojection_error_px"],
            *(found["stages_s"].get(stage, 0.0) for stage in STAGES),
            found["seconds"],
        )
        for name, found in results.items()
    ]
    print_table("Structure from motion, seconds", ("set", "cameras", "points", "px", *STAGES, "all"), rows)
    save("sfm", results, quick=given.quick)


if __name__ == "__main__":
    main()
