"""COLMAP's text model files: cameras.txt, images.txt, points3D.txt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from sfumato.capture.readers.colmap_records import CameraRecord, ImageRecord, PointRecords
from sfumato.capture.readers.source import read_bytes
from sfumato.errors import CaptureError

_Row = TypeVar("_Row")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments; blank lines are kept, as they have a meaning in images.txt."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CaptureError(f"{path} is not UTF-8 text; export the model again") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith("#"):
            yield number, line.strip()


def _parsed(path: Path, number: int, parse: Callable[[str], _Row], line: str) -> _Row:
    try:
        return parse(line)
    except (ValueError, IndexError, OverflowError) as error:
        raise CaptureError(f"{path} line {number} cannot be read ({error}); export the model again") from None


def read_cameras(path: Path) -> list[CameraRecord]:
    """The records of ``cameras.txt``."""
    rows = ((n, line) for n, line in _lines(path) if line)
    return [_parsed(path, n, partial(_camera, where=f"{path} line {n}"), line) for n, line in rows]


def _camera(line: str, where: str) -> CameraRecord:
    camera_id, model, width, height, *params = line.split()
    where = f"{where} (camera {int(camera_id)})"
    return CameraRecord(int(camera_id), model, (int(width), int(height)), tuple(map(float, params)), where)


def read_images(path: Path) -> list[ImageRecord]:
    """The records of ``images.txt``, without their 2D points (every second line, often blank)."""
    lines = _lines(path)
    records = []
    for number, line in lines:
        if line:
            records.append(_parsed(path, number, _image, line))
            points = next(lines, (number + 1, ""))[1]
            if len(points.split()) % 3:
                raise CaptureError(
                    f"{path} line {number + 1} is not a list of 2D points; each image has two lines, "
                    "the second may be empty"
                )
    return records


def _image(line: str) -> ImageRecord:
    _, *pose, camera_id, name = line.split(maxsplit=9)
    if len(pose) != 7:
        raise ValueError("expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME")
    w, x, y, z, *translation = map(float, pose)
    tx, ty, tz = translation
    return ImageRecord(name, (w, x, y, z), (tx, ty, tz), int(camera_id))


def read_points(path: Path) -> PointRecords:
    """Positions and colours of ``points3D.txt``."""
    rows = [_parsed(path, n, _point, line) for n, line in _lines(path) if line]
    xyz = np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 3)
    rgb = np.array([row[1] for row in rows], dtype=np.uint8).reshape(-1, 3)
    return PointRecords(xyz, rgb)


def _point(line: str) -> tuple[list[float], list[int]]:
    fields = line.split(maxsplit=8)
    if len(fields) < 8:
        raise ValueError("expected POINT3D_ID X Y Z R G B ERROR TRACK[]")
    colour = [int(value) for value in fields[4:7]]
    if not all(0 <= value <= 255 for value in colour):
        raise ValueError(f"colour {colour} is not in 0 to 255")
    return [float(value) for value in fields[1:4]], colour
