"""Camera paths as JSON: key-frames to fly through, or every camera.

Key-frames::

    {"version": 1, "closed": false, "keyframes": [
        {"position": [0, -1, -4], "look_at": [0, 0, 0], "up": [0, -1, 0], "fov_deg": 50, "time_s": 0},
        {"camera_from_world": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 4], [0, 0, 0, 1]], "time_s": 2.5}
    ]}

A key-frame has a pose: "camera_from_world", 4 rows of a rigid transform with OpenCV axes (x right, y down,
z forward), or "position" and "look_at", and "up" if it is not (0, -1, 0). "fov_deg" is the vertical field
of view, by default that of the previous key-frame, 50 for the first. "time_s" is given in all of them or in
none; without it the speed is constant. "closed" paths return to the first key-frame. Positions and rotations
are interpolated by cubic splines.

Cameras, one a frame::

    {"version": 1, "cameras": [
        {"camera_from_world": [[...], ...], "focal_px": [fx, fy], "centre_px": [cx, cy],
         "size_px": [width, height]}
    ]}

The centre of pixel (0, 0) is (0.5, 0.5). "centre_px" is the middle of the picture by default.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.errors import ConfigError, FormatError
from sfumato.json_files import read_given_json
from sfumato.outputs import write_json
from sfumato.paths.look import Y_DOWN, looking_at, pinhole
from sfumato.paths.orbit import DEFAULT_FOV_DEG
from sfumato.paths.spline import through
from sfumato.scene.cameras import Camera

MAX_PATH_BYTES = 1 << 26
MAX_SIDE_PX = 16_384
_RIGID = 1e-3
# Key cameras may have any size: it is replaced when the path is rendered.
_KEY_SIZE_PX = (1920, 1080)


@dataclass(frozen=True)
class KeyFrames:
    """Key cameras of a path.

    Attributes:
        cameras: in order.
        times_s: time at each camera; None: constant speed.
        closed: whether the path returns to the first.
    """

    cameras: tuple[Camera, ...]
    times_s: tuple[float, ...] | None
    closed: bool

    def path(self, count: int) -> tuple[Camera, ...]:
        """``count`` cameras along the path."""
        return through(self.cameras, count, times_s=self.times_s, closed=self.closed)


def read_path(path: Path) -> KeyFrames | tuple[Camera, ...]:
    """Read a JSON file of key-frames or cameras.

    Raises:
        ConfigError: the file is missing.
        FormatError: it is not a camera path, or has invalid values.
    """
    return path_from_plain(read_given_json(path, "JSON file of key-frames or cameras", MAX_PATH_BYTES), path)


def path_from_plain(document: object, path: Path | str) -> KeyFrames | tuple[Camera, ...]:
    """The key-frames or cameras of a JSON document.

    Args:
        document: untrusted.
        path: of the file, for errors.

    Raises:
        FormatError: it is not a camera path, or has invalid values.
    """
    if isinstance(document, dict) and document.get("version", 1) == 1:
        for key, parse in (("keyframes", _key_frames), ("cameras", _cameras)):
            rows = document.get(key)
            if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
                return parse(document, rows, path)
    raise FormatError(
        f'{path} is not a camera path: it needs "version": 1 and a list "keyframes" or "cameras" of objects; '
        "see sfumato.paths.path_files"
    )


def write_cameras(path: Path, cameras: Sequence[Camera], **facts: object) -> None:
    """Write cameras as JSON.

    Args:
        path: the file.
        cameras: pinholes.
        facts: other entries of the document.

    Raises:
        SfumatoError: the file cannot be written.
    """
    write_json(path, {"version": 1, **facts, "cameras": [described(camera) for camera in cameras]})


def described(camera: Camera) -> dict[str, Any]:
    """A camera in this module's JSON form."""
    return {
        "camera_from_world": camera.camera_from_world.detach().double().tolist(),
        "focal_px": [float(value) for value in camera.focal_px],
        "centre_px": [float(value) for value in camera.centre_px],
        "size_px": list(camera.size_px),
    }


def _key_frames(document: dict, rows: list[dict], path: Path | str) -> KeyFrames:
    cameras, fov_deg = [], DEFAULT_FOV_DEG
    for index, row in enumerate(rows, start=1):
        where = f"{path}: keyframe {index}"
        fov_deg = _numbers([row.get("fov_deg", fov_deg)], 1, f"{where}: fov_deg")[0]
        try:
            cameras.append(pinhole(_pose(row, where), _KEY_SIZE_PX, fov_deg))
        except ConfigError as error:
            raise FormatError(f"{where}: {error}") from None
    times = [row["time_s"] for row in rows if "time_s" in row]
    if len(times) not in (0, len(rows)):
        raise FormatError(f"{path}: time_s must be in every keyframe or in none")
    times_s = tuple(_numbers(times, len(rows), f"{path}: time_s")) if times else None
    if times_s and any(b <= a for a, b in pairwise(times_s)):
        raise FormatError(f"{path}: time_s must grow from keyframe to keyframe; sort them")
    closed = document.get("closed", False)
    if not isinstance(closed, bool):
        raise FormatError(f"{path}: closed must be true or false, not {closed!r:.40}")
    return KeyFrames(tuple(cameras), times_s, closed)


def _cameras(_: dict, rows: list[dict], path: Path | str) -> tuple[Camera, ...]:
    cameras = []
    for index, row in enumerate(rows, start=1):
        where = f"{path}: camera {index}"
        width, height = _numbers(row.get("size_px"), 2, f"{where}: size_px")
        is_whole = width == int(width) and height == int(height)
        if not is_whole or min(width, height) < 1 or max(width, height) > MAX_SIDE_PX:
            raise FormatError(f"{where}: size_px must be whole numbers from 1 to {MAX_SIDE_PX}")
        focal_px = _numbers(row.get("focal_px"), 2, f"{where}: focal_px")
        if min(focal_px) <= 0:
            raise FormatError(f"{where}: focal_px must be above 0")
        centre_px = _numbers(row.get("centre_px", [width / 2, height / 2]), 2, f"{where}: centre_px")
        pose = torch.from_numpy(_rigid(row.get("camera_from_world"), where))
        size_px = (int(width), int(height))
        cameras.append(Camera(pose, (focal_px[0], focal_px[1]), (centre_px[0], centre_px[1]), size_px))
    return tuple(cameras)


def _pose(row: dict, where: str) -> np.ndarray:
    if "camera_from_world" in row:
        return _rigid(row["camera_from_world"], where)
    if "position" not in row or "look_at" not in row:
        raise FormatError(f"{where} needs camera_from_world, or position and look_at")
    position, target = (_numbers(row[key], 3, f"{where}: {key}") for key in ("position", "look_at"))
    return looking_at(position, target, _numbers(row.get("up", list(Y_DOWN)), 3, f"{where}: up"))


def _rigid(value: object, where: str) -> np.ndarray:
    rows = value if isinstance(value, list) and len(value) == 4 else [None]
    pose = np.array([_numbers(row, 4, f"{where}: a row of camera_from_world") for row in rows])
    turn = pose[:3, :3]
    off = np.abs(turn @ turn.T - np.eye(3)).max()
    if off > _RIGID or np.linalg.det(turn) < 0 or np.abs(pose[3] - (0, 0, 0, 1)).max() > _RIGID:
        raise FormatError(f"{where}: camera_from_world is not rigid; give a rotation and a translation")
    # Rounded digits are corrected by the nearest rotation.
    left, _, right = np.linalg.svd(turn)
    pose[:3, :3], pose[3] = left @ right, (0, 0, 0, 1)
    return pose


def _numbers(value: object, count: int, where: str) -> list[float]:
    if isinstance(value, list) and len(value) == count:
        plain = [v for v in value if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(plain) == count and all(abs(v) < 1e15 and math.isfinite(v) for v in plain):
            return [float(v) for v in plain]
    raise FormatError(f"{where} must be {count} finite numbers, not {value!r:.60}")
