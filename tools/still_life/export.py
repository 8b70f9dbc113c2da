"""Write rendered views as a posed data set: photographs, cameras, points, depth."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from denoise import denoise, surface_features
from PIL import Image

from render import View, camera_rays, depth_map, develop, first_hits, without_fireflies

DEPTH_VIEWS = 6
DEPTH_SCALE = 0.5
METRES_PER_DEPTH_UNIT = 0.001
POINT_NOISE = 0.0025  # metres: 0.2% of the distance from the cameras to the table
SEEN_IN_VIEWS = 3


def replace_file(path: Path, write) -> None:
    """Call ``write(unfinished)`` and move the result to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.part{path.suffix}")
    write(unfinished)
    os.replace(unfinished, path)


def photographs(scene, views: dict[str, View], passes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Developed pictures [h, w, 3] uint8 by name."""
    found = {}
    for name, view in views.items():
        found[name] = develop(denoise(without_fireflies(passes[name]), surface_features(scene, view)))
    return found


def depth_names(views: dict[str, View]) -> list[str]:
    """Which views come with depth: half on the path, half held out, spread evenly."""
    chosen = []
    for start in ("path", "held_out"):
        names = [name for name in views if name.startswith(start)]
        chosen += [names[round(k)] for k in np.linspace(0.1, 0.9, DEPTH_VIEWS // 2) * (len(names) - 1)]
    return chosen


def project(view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n, 2] and camera z [n] of ``points`` [n, 3], world frame."""
    rotation, eye = view.world_from_camera[:3, :3], view.world_from_camera[:3, 3]
    x, y, z = ((points - eye) @ rotation * (1, -1, -1)).T
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = np.stack([x / z, y / z], -1) * view.focal_px + np.asarray(view.size_px) / 2
    return pixels, z


def count_seen(scene, views: list[View], points: np.ndarray) -> np.ndarray:
    """[n] in how many of ``views`` each point is visible."""
    seen = np.zeros(len(points), int)
    for view in views:
        pixels, z = project(view, points)
        inside = (z > 0) & (pixels > 0).all(axis=1) & (pixels < view.size_px).all(axis=1)
        depth = np.full(len(points), -np.inf)
        depth[inside] = first_hits(scene, view, pixels[inside])
        seen += np.abs(depth - z) < 0.005 * np.abs(z)
    return seen


def sample_points(scene, views: dict[str, View], pictures: dict, count: int, seed: int):
    """Points like those of structure from motion: on texture, seen often, slightly wrong.

    Returns:
        positions [count, 3] in metres and colours [count, 3] uint8.
    """
    rng = np.random.default_rng(seed)
    path = {name: view for name, view in views.items() if name.startswith("path")}
    each = -(-3 * count // len(path))
    positions, colours = [], []
    for name, view in path.items():
        light = pictures[name].astype(float).mean(axis=-1)
        contrast = np.hypot(*np.gradient(light)) + 1.0
        picked = rng.choice(light.size, each, replace=False, p=(contrast / contrast.sum()).ravel())
        rows, columns = np.divmod(picked, light.shape[1])
        pixels = np.stack([columns, rows], -1) + 0.5
        origin, directions = camera_rays(view, pixels)
        positions.append(origin + directions * first_hits(scene, view, pixels)[:, None])
        colours.append(pictures[name][rows, columns])
    positions, colours = np.concatenate(positions), np.concatenate(colours)
    often = np.flatnonzero(count_seen(scene, list(path.values()), positions) >= SEEN_IN_VIEWS)
    chosen = np.sort(rng.permutation(often)[:count])
    return positions[chosen] + POINT_NOISE * rng.normal(size=(len(chosen), 3)), colours[chosen]


def write_points(path: Path, positions: np.ndarray, colours: np.ndarray) -> None:
    """Write a binary little-endian .ply with float32 positions and uchar colours."""
    columns = [(axis, "<f4") for axis in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    rows = np.empty(len(positions), dtype=columns)
    for k, (name, _) in enumerate(columns):
        rows[name] = (positions if k < 3 else colours)[:, k % 3]
    kinds = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property {kinds[kind]} {name}" for name, kind in columns] + ["end_header", ""]
    path.write_bytes("\n".join(header).encode() + rows.tobytes())


def transforms(views: dict[str, View], with_depth: list[str]) -> dict:
    """The content of transforms.json."""
    view = next(iter(views.values()))
    (width, height), names = view.size_px, sorted(views)
    frames = []
    for name in names:
        frame = {"file_path": f"images/{name}.jpg"}
        if name in with_depth:
            frame["depth_file_path"] = f"depth/{name}.png"
        frames.append({**frame, "transform_matrix": np.round(views[name].world_from_camera, 9).tolist()})
    return {
        "camera_model": "OPENCV",
        "w": width,
        "h": height,
        "fl_x": view.focal_px,
        "fl_y": view.focal_px,
        "cx": width / 2,
        "cy": height / 2,
        "ply_file_path": "points.ply",
        "integer_depth_scale": METRES_PER_DEPTH_UNIT,
        "train_filenames": [f"images/{name}.jpg" for name in names if name.startswith("path")],
        "test_filenames": [f"images/{name}.jpg" for name in names if name.startswith("held_out")],
        "frames": frames,
    }


def write_capture(scene, views: dict[str, View], passes: dict[str, np.ndarray], options) -> None:
    """Write the data set of ``views`` to ``options.out``."""
    pictures = photographs(scene, views, passes)
    for name, picture in pictures.items():
        image = Image.fromarray(picture)
        settings = {"quality": options.quality, "subsampling": "4:2:0", "optimize": True, "progressive": True}
        replace_file(
            options.out / "images" / f"{name}.jpg", lambda path, i=image, s=settings: i.save(path, **s)
        )
    with_depth = depth_names(views)
    for name in with_depth:
        units = depth_map(scene, views[name].resized(DEPTH_SCALE)) / METRES_PER_DEPTH_UNIT
        image = Image.fromarray(np.round(np.clip(units, 0, 65535)).astype(np.uint16))
        replace_file(options.out / "depth" / f"{name}.png", lambda path, i=image: i.save(path, optimize=True))
    points = sample_points(scene, views, pictures, options.points, options.seed)
    replace_file(options.out / "points.ply", lambda path: write_points(path, *points))
    text = json.dumps(transforms(views, with_depth), indent=1)
    replace_file(options.out / "transforms.json", lambda path: path.write_text(text + "\n"))
