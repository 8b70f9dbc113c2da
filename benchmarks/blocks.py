"""A scene trained in blocks against the same trained whole, in as many steps.

    python benchmarks/blocks.py --scratch out/blocks
    python benchmarks/blocks.py --scratch out/blocks --blocks 4 --steps 2400 --cluster local

The capture is made here: a town of textured Gaussians, larger than what any photograph shows of it, and
photographs along a path with loops as a drone flies them, obliquely, rendered by our own rasterizer. The
start points are drawn from its surfaces. Both runs get the same photographs, points, seed, cap of Gaussians
and number of steps; quality is that of held-out photographs. Pixels count as within a seam by where the true
scene lies, in both runs alike, so that places that are harder anyway are no fault of the seam.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from harness import print_table, save
from PIL import Image

import sfumato
from sfumato.blocks.block_plan import read_plan
from sfumato.blocks.seams import seam_quality
from sfumato.maths.sh import SH_C0
from sfumato.paths.look import looking_at
from sfumato.runs.folder import RunFolder

# The town: its side, the spacing of its Gaussians, and the number of houses along each side; scene units.
SIDE, SPACING, HOUSES = 12.0, 0.11, 5
HEIGHT, FIELD_DEG = 2.2, 62.0


def noise(places: np.ndarray, seed: int) -> np.ndarray:
    """[n, 3] colours in [0, 1] of places [n, 2], smooth, with detail at five scales."""
    chance, value = np.random.default_rng(seed), np.zeros((len(places), 3))
    for octave in range(5):
        waves = chance.normal(size=(6, 2)) * 2.0**octave * 0.6
        phases, tints = chance.uniform(0, 2 * np.pi, 6), chance.normal(size=(6, 3))
        value += np.sin(places @ waves.T + phases) @ tints / 1.6**octave
    return 1 / (1 + np.exp(-0.9 * value))


def faces() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Corner and two edges of the ground and of the walls and roofs of the houses; z points up."""
    chance, x, y, z = np.random.default_rng(4), *np.eye(3)
    found = [(np.zeros(3), SIDE * x, SIDE * y)]
    for row in range(HOUSES):
        for column in range(HOUSES):
            corner = (np.array([row, column, 0.0]) + 0.25) * [SIDE / HOUSES, SIDE / HOUSES, 0]
            corner[:2] += chance.uniform(-0.2, 0.2, 2)
            a, b, up = (
                chance.uniform(0.8, 1.3) * x,
                chance.uniform(0.8, 1.3) * y,
                chance.uniform(0.4, 1.0) * z,
            )
            found += [(corner, a, up), (corner, b, up), (corner + a, b, up), (corner + b, a, up)]
            found.append((corner + up, a, b))
    return found


def town() -> sfumato.Gaussians:
    """The true scene."""
    means, normals, colours = [], [], []
    for number, (corner, along, across) in enumerate(faces()):
        rows, columns = (max(2, round(np.linalg.norm(edge) / SPACING)) for edge in (along, across))
        s, t = np.meshgrid(
            (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij"
        )
        places = np.stack([s.ravel(), t.ravel()], axis=1)
        means.append(corner + places[:, :1] * along + places[:, 1:] * across)
        normal = np.cross(along, across)
        normals.append(np.tile(np.abs(normal) / np.linalg.norm(normal), (len(places), 1)))
        lengths = [np.linalg.norm(along), np.linalg.norm(across)]
        colours.append(noise(places * lengths, seed=number))
    flat = np.concatenate(normals)
    scales = np.log(np.where(flat > 0.5, 0.01, 0.55 * SPACING))
    n, sh = len(flat), (np.concatenate(colours) - 0.5) / SH_C0
    quats = np.tile([1.0, 0.0, 0.0, 0.0], (n, 1))
    arrays = (np.concatenate(means), scales, quats, np.full(n, 4.0), sh[:, None])
    return sfumato.Gaussians(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))


def path(count: int) -> list[np.ndarray]:
    """camera_from_world [4, 4] of cameras along lanes back and forth over the town, then across them."""
    lanes, poses = max(2, round(math.sqrt(count / 8))), []
    for number in range(count):
        t = 2 * number / count
        lane, along = divmod((t % 1) * lanes, 1)
        along = along if lane % 2 == 0 else 1 - along
        place = np.array([(0.5 + lane) / lanes, along]) * (0.9 * SIDE) + 0.05 * SIDE
        heading = np.array([0.0, 1.0 if lane % 2 == 0 else -1.0])
        if t >= 1:
            place, heading = place[::-1], heading[::-1]
        eye = np.array([*place, HEIGHT])
        poses.append(looking_at(eye, eye + np.array([*(0.8 * heading), -1.0]), np.array([0.0, 0.0, 1.0])))
    return poses


def make_capture(folder: Path, views: int, side_px: int, points: int) -> sfumato.Gaussians:
    """Write the dataset as transforms.json; the true scene."""
    scene, height = town(), round(0.75 * side_px)
    focal, frames = side_px / 2 / math.tan(math.radians(FIELD_DEG) / 2), []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, pose in enumerate(path(views)):
        camera = sfumato.Camera(
            torch.from_numpy(pose), (focal, focal), (side_px / 2, height / 2), (side_px, height)
        )
        with torch.no_grad():
            image = sfumato.rasterize(scene, camera, sfumato.RasterSettings(background=(0.6, 0.7, 0.9))).image
        name = f"images/{number:04d}.png"
        Image.fromarray((image.clamp(0, 1) * 255).round().byte().numpy()).save(folder / name)
        world_from_camera = np.linalg.inv(pose) @ np.diag([1.0, -1.0, -1.0, 1.0])
        frames.append({"file_path": name, "transform_matrix": world_from_camera.tolist()})
    chance = np.random.default_rng(0)
    chosen = chance.choice(len(scene), min(points, len(scene)), replace=False)
    xyz = scene.means.numpy()[chosen] + chance.normal(scale=0.01, size=(len(chosen), 3))
    rgb = ((0.5 + SH_C0 * scene.sh[:, 0].numpy()[chosen]).clip(0, 1) * 255).round().astype(np.uint8)
    rows = "".join(f"{x} {y} {z} {r} {g} {b}\n" for (x, y, z), (r, g, b) in zip(xyz, rgb, strict=True))
    head = "ply\nformat ascii 1.0\nelement vertex {}\n{}end_header\n"
    kinds = ("float x", "float y", "float z", "uchar red", "uchar green", "uchar blue")
    (folder / "points.ply").write_text(
        head.format(len(xyz), "".join(f"property {kind}\n" for kind in kinds)) + rows
    )
    lens = {"fl_x": focal, "fl_y": focal, "cx": side_px / 2, "cy": height / 2, "w": side_px, "h": height}
    document = {**lens, "camera_model": "PINHOLE", "ply_file_path": "points.ply", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document))
    return scene


def trained(data: Path, out: Path, options: list[str]) -> float:
    """Train with the command line; wall seconds, of a run that was finished before too."""
    began, noted = time.monotonic(), out.with_suffix(".seconds")
    code = "import sys; from sfumato.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", str(data), "-o", str(out), *options]
    subprocess.run(command, check=True)
    if not noted.exists():
        noted.write_text(str(time.monotonic() - began))
    return float(noted.read_text())


def main() -> None:
    """Make the capture, train twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--views", type=int, default=160)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--max-gaussians", type=int, default=16000)
    parser.add_argument("--cluster", default="")
    parser.add_argument("--quick", action="store_true", help="keep no results")
    given = parser.parse_args()
    data = given.scratch / "town"
    truth = make_capture(data, given.views, given.side, given.points)
    common = ["--steps", str(given.steps), "--max-gaussians", str(given.max_gaussians)]
    cluster = ["--cluster", given.cluster] if given.cluster else []
    runs = {"whole": common, "blocks": [*common, "--blocks", str(given.blocks), *cluster]}
    seconds = {name: trained(data, given.scratch / name, options) for name, options in runs.items()}
    plan, rows = read_plan(given.scratch / "blocks/blocks.json"), []
    for name in runs:
        folder = RunFolder(given.scratch / name)
        options, scene = folder.read_options(), sfumato.load(folder.scene)
        seams = seam_quality(scene, options.read_capture(), options.train, plan, shape=truth)
        found = {"run": name, "PSNR": folder.read_metrics()["test"]["psnr"], **seams.to_plain()}
        rows.append({**found, "gaussians": len(scene), "seconds": seconds[name]})
    print_table("In blocks against whole", list(rows[0]), [list(row.values()) for row in rows])
    options = {name: value for name, value in vars(given).items() if name not in ("scratch", "quick")}
    save("blocks", {"options": options, "runs": rows}, quick=given.quick)


if __name__ == "__main__":
    main()
