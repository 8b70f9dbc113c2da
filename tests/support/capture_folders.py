"""Tiny posed datasets on disk."""

import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image

MODEL_IDS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "SIMPLE_FISHEYE": 14}
NAMES = ("a.png", "b.png", "c.png")
PINHOLE = (1, "PINHOLE", 32, 24, (30.0, 31.0, 16.5, 12.5))


def picture(width: int = 32, height: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def image_rows(names, camera_id: int = 1):
    """Cameras in a row along x, looking along z."""
    return [(name, (1.0, 0.0, 0.0, 0.0), (-0.5 * i, 0.0, 0.0), camera_id) for i, name in enumerate(names)]


POINTS = [((0.1 * i, -0.1, 4.0 + i), (10 * i, 20, 30)) for i in range(5)]


def write_colmap_bin(folder: Path, cameras, images, points=POINTS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = struct.pack("<Q", len(cameras))
    for camera_id, model, width, height, params in cameras:
        data += struct.pack("<IiQQ", camera_id, MODEL_IDS.get(model, model), width, height)
        data += struct.pack(f"<{len(params)}d", *params)
    (folder / "cameras.bin").write_bytes(data)
    data = struct.pack("<Q", len(images))
    for i, (name, quat, translation, camera_id) in enumerate(images):
        data += struct.pack("<I7dI", i + 1, *quat, *translation, camera_id) + name.encode() + b"\0"
        data += struct.pack("<Qddqddq", 2, 1.0, 2.0, 1, 3.0, 4.0, -1)
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(points))
    for i, (xyz, rgb) in enumerate(points):
        data += struct.pack("<Q3d3BdQIIII", i + 1, *xyz, *rgb, 0.5, 2, 1, 0, 2, 0)
    (folder / "points3D.bin").write_bytes(data)


def write_colmap_txt(folder: Path, cameras, images, points=POINTS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{i} {model} {w} {h} {' '.join(map(repr, params))}" for i, model, w, h, params in cameras]
    (folder / "cameras.txt").write_text("# a comment\n" + "\n".join(rows) + "\n")
    rows = []
    for i, (name, quat, translation, camera_id) in enumerate(images):
        rows.append(f"{i + 1} {' '.join(map(repr, (*quat, *translation)))} {camera_id} {name}")
        rows.append("1.0 2.0 1 3.0 4.0 -1" if i % 2 else "")
    (folder / "images.txt").write_text("# a comment\n" + "\n".join(rows) + "\n")
    rows = [f"{i} {' '.join(map(repr, (*xyz, *rgb)))} 0.5 1 0 2 0" for i, (xyz, rgb) in enumerate(points)]
    (folder / "points3D.txt").write_text("# a comment\n" + "\n".join(rows) + "\n")


def colmap_folder(root: Path, *, names=NAMES, camera=PINHOLE, writer=write_colmap_bin) -> Path:
    """A small complete dataset; returns its root."""
    writer(root / "sparse" / "0", [camera], image_rows(names, camera[0]))
    for i, name in enumerate(names):
        save(root / "images" / name, picture(camera[2], camera[3], seed=i))
    return root


def opengl_pose(x: float) -> list[list[float]]:
    """A camera at (x, 0, 0) that looks along world z with y down, written with OpenGL axes."""
    return [[1.0, 0.0, 0.0, x], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def write_transforms(path: Path, file_paths, **values) -> Path:
    poses = (opengl_pose(0.5 * i) for i in range(len(file_paths)))
    frames = [
        {"file_path": name, "transform_matrix": pose} for name, pose in zip(file_paths, poses, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"frames": frames, **values}))
    return path
