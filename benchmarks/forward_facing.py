"""A capture of a far scene from cameras close together, drawn from Gaussians that are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from sfumato import Camera, Gaussians, rasterize
from sfumato.evaluation.saved_images import save_image
from sfumato.maths.sh import SH_C0
from sfumato.render.png import to_uint8

SIZE_PX, FOCAL_PX = (240, 180), 210.0
CAMERAS, SPREAD, DISTANCE = 48, 8.0, 41.0
_SPOTS, _BOXES, _POINTS = 400, 6, 2500
_COLOURS = ("red", "green", "blue")


def write_forward_facing(folder: Path) -> None:
    """Write 48 pictures of 240x180 with their cameras and 2,500 points, as ``transforms.json``.

    The cameras are spread over 8 units and look ahead. A wall stands 41 away and boxes stand before it;
    much of the wall is plain, so that few points lie there, as structure from motion would have it.
    """
    rng = np.random.default_rng(7)
    parts = [_wall(rng), *(_box(rng) for _ in range(_BOXES))]
    means, scales, colours = (np.concatenate(column) for column in zip(*parts, strict=True))
    scene = _gaussians(means, scales, colours)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    frames = []
    for i in range(CAMERAS):
        name = f"images/{i:03}.png"
        centre = rng.uniform(-0.5, 0.5, 3) * SPREAD * (1, 0.5, 0.15)
        camera_from_world = _looking(centre, rng.normal(0, 0.03, 2))
        camera = Camera(camera_from_world, (FOCAL_PX,) * 2, (SIZE_PX[0] / 2, SIZE_PX[1] / 2), SIZE_PX)
        with torch.no_grad():
            save_image(folder / name, to_uint8(rasterize(scene, camera).image))
        opengl = camera_from_world.inverse() @ torch.diag(camera_from_world.new_tensor([1, -1, -1, 1]))
        frames.append({"file_path": name, "transform_matrix": opengl.tolist()})
    _write_points(folder / "points.ply", means, scales, colours, rng)
    lens = {"w": SIZE_PX[0], "h": SIZE_PX[1], "fl_x": FOCAL_PX, "cx": SIZE_PX[0] / 2, "cy": SIZE_PX[1] / 2}
    document = {**lens, "fl_y": FOCAL_PX, "ply_file_path": "points.ply", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document), "utf-8")


def _wall(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, scales and colours: a wall of soft colours with spots on a third of it."""
    x, y = np.meshgrid(np.arange(-40, 41, 4.0), np.arange(-30, 31, 4.0))
    plain = np.stack([x, y, np.full_like(x, DISTANCE)], axis=-1).reshape(-1, 3)
    shade = 0.55 + 0.2 * np.sin(plain[:, :2] @ [[0.11, 0.05, 0.02], [0.03, 0.09, 0.12]])
    # Three layers hide what is behind.
    plain = np.concatenate([plain + shift for shift in np.array([(0, 0, 0), (2, 2, 0.1), (0, 2, 0.2)])])
    spots = rng.uniform((-12, -20, DISTANCE - 0.5), (22, 0, DISTANCE - 0.3), (_SPOTS, 3))
    scales = np.concatenate([np.full((len(plain), 3), (2.5, 2.5, 0.05)), rng.uniform(0.1, 0.6, (_SPOTS, 3))])
    return np.concatenate([plain, spots]), scales, np.concatenate([*[shade] * 3, rng.random((_SPOTS, 3))])


def _box(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, scales and colours of a mottled box between the cameras and the wall."""
    middle = rng.uniform((-12, -4, 26), (12, 9, 36))
    means = middle + rng.uniform(-2, 2, (500, 3))
    colours = np.clip(rng.random(3) + rng.normal(0, 0.15, (500, 3)), 0, 1)
    return means, rng.uniform(0.1, 0.35, (500, 3)), colours


def _gaussians(means: np.ndarray, scales: np.ndarray, colours: np.ndarray) -> Gaussians:
    n = len(means)
    return Gaussians(
        torch.from_numpy(means).float(),
        torch.from_numpy(scales).float().log(),
        torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(n, 1),
        torch.full((n,), 3.0),
        torch.from_numpy((colours - 0.5) / SH_C0).float()[:, None],
    )


def _looking(centre: np.ndarray, tilt: np.ndarray) -> torch.Tensor:
    """camera_from_world of a camera at ``centre`` that looks along +z but for small turns, in radians."""
    (sin_x, sin_y), (cos_x, cos_y) = np.sin(tilt), np.cos(tilt)
    about_x = np.array([[1, 0, 0], [0, cos_x, -sin_x], [0, sin_x, cos_x]])
    about_y = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    pose = np.eye(4)
    pose[:3, :3] = about_x @ about_y
    pose[:3, 3] = -pose[:3, :3] @ centre
    return torch.from_numpy(pose)


def _write_points(
    path: Path, means: np.ndarray, scales: np.ndarray, colours: np.ndarray, rng: np.random.Generator
) -> None:
    """Points on what has texture: small Gaussians nine times in ten, a little beside where they are."""
    small = scales.max(axis=1) < 1
    chance = np.where(small, 0.95 / small.sum(), 0.05 / (~small).sum())
    chosen = rng.choice(len(means), _POINTS, replace=True, p=chance / chance.sum())
    kinds = [*((axis, "<f4") for axis in "xyz"), *((colour, "u1") for colour in _COLOURS)]
    rows = np.empty(_POINTS, kinds)
    for i, axis in enumerate("xyz"):
        rows[axis] = means[chosen, i] + rng.normal(0, 0.1, _POINTS)
    for i, colour in enumerate(_COLOURS):
        rows[colour] = np.clip(255 * colours[chosen, i], 0, 255)
    names = "".join(f"property {'float' if name in 'xyz' else 'uchar'} {name}\n" for name in rows.dtype.names)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {_POINTS}\n{names}end_header\n"
    path.write_bytes(header.encode() + rows.tobytes())
