"""Polycam's raw data: pictures and camera files of a LiDAR capture in ``keyframes``."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from sfumato.capture.images import read_header
from sfumato.capture.readers.image_files import PictureFolder
from sfumato.capture.readers.json_values import number, pixels, read_object
from sfumato.capture.readers.pose_forms import from_opengl
from sfumato.capture.readers.source import (
    Intrinsics,
    PosedDataset,
    PosedImage,
    check_intrinsics,
    refuse_missing,
)
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE

_log = logging.getLogger("sfumato")

# The corrected pictures are undistorted, and their poses are optimised over the whole capture.
_PAIRS = (("corrected_cameras", "corrected_images"), ("cameras", "images"))
_ROWS = tuple(tuple(f"t_{row}{column}" for column in range(4)) for row in range(3))


def find_polycam(root: Path) -> Path | None:
    """The ``keyframes`` folder of a raw export, or None; ``root`` may be this folder itself."""
    if (root / "keyframes").is_dir():
        return root / "keyframes"
    holds_cameras = any((root / cameras).is_dir() for cameras, _ in _PAIRS)
    return root if root.absolute().name == "keyframes" and holds_cameras else None


def read_polycam(root: Path, keyframes: Path) -> PosedDataset:
    """Read Polycam's raw data; the world is ARKit's: metres, y up.

    Blurred frames are kept, depth and confidence are not used.

    Args:
        root: dataset folder.
        keyframes: its folder with cameras and images.

    Returns:
        The dataset, without points.

    Raises:
        CaptureError: a folder is missing, or a file is broken.
    """
    cameras, images = _pair(keyframes)
    paths = sorted(path for path in cameras.glob("*.json") if path.is_file())
    if not paths:
        raise CaptureError(f"{cameras} holds no .json files; export 'raw data' from Polycam again")
    folder = PictureFolder(images)
    pictures = [folder.picture(f"{path.stem}.jpg", str(path)) for path in paths]
    missing = [f"{path.stem}.jpg" for path, picture in zip(paths, pictures, strict=True) if picture is None]
    refuse_missing(missing, len(paths), cameras, images)
    found = zip(paths, pictures, strict=True)
    frames = tuple(_frame(path, picture) for path, picture in found if picture is not None)
    if cameras.name == "cameras":
        _log.warning(
            "%s has no corrected_cameras and corrected_images; using cameras as the phone tracked them",
            keyframes,
        )
    _log.warning("%s has no points; training will start from random points", root)
    return PosedDataset(frames, None)


def _pair(keyframes: Path) -> tuple[Path, Path]:
    for cameras, images in _PAIRS:
        if (keyframes / cameras).is_dir() and (keyframes / images).is_dir():
            return keyframes / cameras, keyframes / images
    has_cameras = any((keyframes / cameras).is_dir() for cameras, _ in _PAIRS)
    raise CaptureError(
        f"{keyframes / ('images' if has_cameras else 'cameras')} is missing; turn on developer mode in "
        "Polycam's settings, capture again and export 'raw data'"
    )


def _frame(path: Path, picture: Path) -> PosedImage:
    values, where = read_object(path), str(path)
    wanted = (*(key for row in _ROWS for key in row), "fx", "fy", "cx", "cy")
    missing = [key for key in wanted if values.get(key) is None]
    if missing:
        raise CaptureError(f"{where} has no {missing[0]}; it is not a camera of Polycam's raw data")
    world_from_camera = np.eye(4)
    world_from_camera[:3] = [[number(values[key], key, where) for key in row] for row in _ROWS]
    pose = from_opengl(world_from_camera, where)
    return PosedImage(picture.name, picture, None, pose, _intrinsics(values, picture, where))


def _intrinsics(values: dict, picture: Path, where: str) -> Intrinsics:
    fx, fy, cx, cy = (number(values[key], key, where) for key in ("fx", "fy", "cx", "cy"))
    sides = ("width", "height")
    if any(values.get(side) is None for side in sides):
        # Exports since 2025 have no size; the intrinsics are for the stored picture.
        size_px = read_header(picture).size_px
    else:
        width, height = (pixels(values[side], side, where) for side in sides)
        size_px = (width, height)
    return check_intrinsics(Intrinsics((fx, fy), (cx, cy), size_px, PINHOLE, "polycam"), where)
