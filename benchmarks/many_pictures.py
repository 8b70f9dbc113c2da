"""Cameras of hundreds of pictures: time, memory, and errors against the cameras that rendered them.

    python benchmarks/many_pictures.py RUN --pictures 250 1000 --scratch out/many

RUN is a run folder with a trained scene. Its pictures are rendered along a path that passes the cameras of
the dataset several times, each time beside the last one, and their true cameras are kept. Poses are then
estimated from the pictures alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import hand_over, in_process, print_table, save
from PIL import Image
from scipy.spatial.transform import Rotation

import sfumato
from sfm import STAGES, similarity
from sfumato.capture.readers import read_source
from sfumato.paths.spline import through
from sfumato.runs.folder import RunFolder
from sfumato.sfm.pipeline import structure_from_motion

# Pictures of one pass of the cameras, and how far a pass is beside the dataset's cameras: standard
# deviations, as a share of the distance to the scene, and in degrees.
A_PASS, SHIFT_SHARE, TURN_DEG = 125, 0.03, 2.0
# A camera is too far from the next one for a path between them at this multiple of the median distance: the
# path would lead through what the photographs do not show.
FAR = 3.0


def pieces(cameras: list[sfumato.Camera]) -> list[list[int]]:
    """Cameras in an order in which neighbours follow each other, cut where none is near."""
    centres = np.stack([camera.centre_world.numpy() for camera in cameras])
    left, order = set(range(1, len(cameras))), [0]
    while left:
        order.append(min(left, key=lambda one: float(np.linalg.norm(centres[one] - centres[order[-1]]))))
        left.remove(order[-1])
    steps = np.linalg.norm(np.diff(centres[order], axis=0), axis=1)
    cuts = np.flatnonzero(steps > FAR * np.median(steps)) + 1
    return [part.tolist() for part in np.split(np.array(order), cuts) if len(part) > 1]


def path(run: RunFolder, count: int) -> list[sfumato.Camera]:
    """Cameras along count / 125 passes of the dataset's cameras, every second one backwards."""
    capture = run.read_options().read_capture()
    given = [view.camera for view in sorted(capture.views, key=lambda view: view.name)]
    chance, found = np.random.default_rng(0), []
    passes = max(1, round(count / A_PASS))
    chains = [chain[:: 1 if number % 2 == 0 else -1] for number in range(passes) for chain in pieces(given)]
    borders = np.round(np.linspace(0, count, sum(map(len, chains)) + 1)).astype(int)
    place = 0
    for chain in chains:
        keys = []
        for number in chain:
            pose, shift = given[number].camera_from_world.double(), torch.eye(4, dtype=torch.float64)
            turn = Rotation.from_rotvec(np.radians(chance.normal(scale=TURN_DEG, size=3))).as_matrix()
            shift[:3, :3] = torch.from_numpy(turn)
            shift[:3, 3] = torch.from_numpy(chance.normal(scale=SHIFT_SHARE * capture.depth, size=3))
            keys.append(replace(given[number], camera_from_world=shift @ pose))
        found += through(keys, int(borders[place + len(chain)] - borders[place]))
        place += len(chain)
    return found


def render(run: RunFolder, count: int, side_px: int, folder: Path) -> None:
    """Pictures as ``folder/images`` and their true cameras as ``folder/truth.npz``."""
    scene, cameras = sfumato.load(run.scene), path(run, count)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, camera in enumerate(cameras):
        image = folder / f"images/{number:05d}.jpg"
        if image.exists():
            continue
        factor = side_px / max(camera.size_px)
        small = camera.resized(*(round(factor * side) for side in camera.size_px))
        with torch.no_grad():
            pixels = sfumato.rasterize(scene, small).image.clamp(0, 1)
        Image.fromarray((255 * pixels).round().byte().numpy()).save(image, quality=95)
    poses = np.stack([np.linalg.inv(camera.camera_from_world.double().numpy()) for camera in cameras])
    np.savez(folder / "truth.npz", world_from_camera=poses)


def measure(folder: Path) -> dict[str, Any]:
    """Find the cameras; figures of one size."""
    began = time.perf_counter()
    found = structure_from_motion([folder / "images"], folder / "dataset")
    seconds = time.perf_counter() - began
    facts = json.loads((folder / "dataset/sfm.json").read_text("utf-8"))
    numbers, poses = [], []
    for frame in read_source(folder / "dataset").frames:
        numbers.append(int(Path(frame.name).stem))
        poses.append(np.linalg.inv(frame.camera_from_world))
    true = np.load(folder / "truth.npz")["world_from_camera"]
    of_found, estimated = true[numbers], np.array(poses)
    scale, rotation, shift = similarity(estimated[:, :3, 3], of_found[:, :3, 3])
    off = np.linalg.norm(scale * estimated[:, :3, 3] @ rotation.T + shift - of_found[:, :3, 3], axis=1)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "pictures": facts["pictures"],
        "registered": facts["registered"],
        "points": facts["points"],
        "found_by": facts["found_by"],
        "median_centre_error_share": float(np.median(off) / np.linalg.norm(np.ptp(true[:, :3, 3], axis=0))),
        "largest_centre_error_share": float(off.max() / np.linalg.norm(np.ptp(true[:, :3, 3], axis=0))),
        "seconds": seconds,
        "stages_s": found.seconds,
        # Of the largest process; mapping has one of its own.
        "peak_gib": max(peaks) / 2**20,
    }


def main() -> None:
    """Render and measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--pictures", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--side", type=int, default=900, help="long side of the pictures, px")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="keep no results")
    given = parser.parse_args()
    if given.one:
        hand_over(measure(given.one))
        return
    results = []
    for count in given.pictures:
        folder = given.scratch / f"{count}"
        render(RunFolder(given.run), count, given.side, folder)
        mine = [str(given.run), "--scratch", str(given.scratch), "--one", str(folder)]
        results.append(in_process(__file__, mine))
        print(json.dumps(results[-1]), flush=True)
    rows = [
        (
            found["pictures"],
            found["registered"],
            100 * found["median_centre_error_share"],
            found["peak_gib"],
            *(found["stages_s"].get(stage, 0.0) for stage in STAGES),
            found["seconds"],
        )
        for found in results
    ]
    headings = ("pictures", "cameras", "centre error, %", "GiB", *STAGES, "seconds")
    print_table("Cameras of many pictures", headings, rows)
    save("many_pictures", results, quick=given.quick)


if __name__ == "__main__":
    main()
