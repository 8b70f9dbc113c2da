"""Folders of numbered frames, one for each camera."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.capture.multiview.frame_checks import is_black
from sfumato.capture.multiview.rig_source import FRAMES_PER_SECOND
from sfumato.capture.natural_order import natural_key
from sfumato.capture.readers.image_files import EXTENSIONS, PictureFolder, folded
from sfumato.capture.readers.json_values import number, read_object
from sfumato.errors import CaptureError

TIMES_FILE = "times.json"
"""Beside the folders of frames: {camera: {file name: seconds}}, by the camera's own clock."""

FOREGROUND_FOLDERS = ("seg", "foreground")
_FRAME_FOLDERS = ("frames", "ims", "images", ".")
# Folders of a dataset that do not hold frames of a camera.
_OTHERS = frozenset({"masks", "mask", "sparse", "colmap", "work", "calibration", *FOREGROUND_FOLDERS})
_INNER = "images"
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
_MAX_CAMERAS, _MAX_FRAMES, _MAX_DIGITS = 1000, 1_000_000, 18
# If a larger fraction of frame numbers is missing, the numbers are not those of frames.
_MOST_MISSING = 0.9


@dataclass(frozen=True)
class CameraFrames:
    """The frames of one camera.

    Attributes:
        name: of the camera's folder.
        paths: of the frames, in order.
        times: [n] seconds by the camera's clock, ascending.
    """

    name: str
    paths: tuple[Path, ...]
    times: np.ndarray


def find_frames(root: Path) -> Path | None:
    """The folder below ``root`` with picture folders of two or more cameras, or None."""
    for name in _FRAME_FOLDERS:
        if len(_camera_folders(root / name)) > 1:
            return root / name
    return None


def holds_one_camera(root: Path) -> bool:
    """Whether there are pictures of one camera only."""
    return any(len(_camera_folders(root / name)) == 1 for name in _FRAME_FOLDERS)


def _camera_folders(folder: Path) -> dict[str, Path]:
    """{camera: folder of its pictures}, in natural order."""
    found = {}
    for path in _entries(folder):
        if folded(path.name) in _OTHERS or path.name.startswith(".") or not path.is_dir():
            continue
        place = next((p for p in (path, path / _INNER) if any(map(_is_picture, _entries(p)))), None)
        if place is not None:
            found[path.name] = place
    if len(found) > _MAX_CAMERAS:
        raise CaptureError(f"{folder} holds folders of {len(found)} cameras; give at most {_MAX_CAMERAS}")
    return {name: found[name] for name in sorted(found, key=natural_key)}


def _entries(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except OSError:
        return []


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS


def read_frames(folder: Path, fps: float | None) -> list[CameraFrames]:
    """The frames of all cameras, in natural order of the cameras' names.

    A frame's number is the last one in its name. The smallest number of all cameras is at time 0;
    missing numbers are missing frames.

    Args:
        folder: from ``find_frames``.
        fps: frames per second; None: times from ``times.json`` in the folder, else 30.

    Raises:
        CaptureError: two frames of a camera have the same number, or ``times.json`` is broken.
    """
    folders = _camera_folders(folder)
    if fps is None and (folder / TIMES_FILE).is_file():
        return _with_times(folders, folder / TIMES_FILE)
    numbered = {name: _numbered(place) for name, place in folders.items()}
    every = np.concatenate([np.array(list(frames), np.int64) for frames in numbered.values()])
    first = int(every.min())
    stride = math.gcd(*np.unique(every - first).tolist()) or 1
    longest = max(map(len, numbered.values()))
    if longest < (1.0 - _MOST_MISSING) * ((int(every.max()) - first) // stride + 1):
        raise CaptureError(
            f"{folder}: frames are numbered from {first} to {every.max()} though no camera has more than "
            f"{longest}; number them without gaps"
        )
    seconds = stride / (FRAMES_PER_SECOND if fps is None else fps)
    return [
        CameraFrames(
            name,
            tuple(frames[one] for one in sorted(frames)),
            (np.array(sorted(frames)) - first) // stride * seconds,
        )
        for name, frames in numbered.items()
    ]


def _numbered(folder: Path) -> dict[int, Path]:
    """{number: frame}; numbered in natural order if some names have no number."""
    paths = sorted(filter(_is_picture, _entries(folder)), key=lambda path: natural_key(path.name))
    if len(paths) > _MAX_FRAMES:
        raise CaptureError(f"{folder} holds more than {_MAX_FRAMES} frames; give a part of them")
    found = [_LAST_NUMBER.search(path.stem) for path in paths]
    if not all(found):
        return dict(enumerate(paths))
    numbers: dict[int, Path] = {}
    for match, path in zip(found, paths, strict=True):
        assert match is not None
        digits = match.group(1)
        if len(digits.lstrip("0")) > _MAX_DIGITS:
            raise CaptureError(f"{path}: no frame has its number; number the frames from 0")
        if int(digits) in numbers:
            raise CaptureError(f"{path} and {numbers[int(digits)].name} have one number; keep one of the two")
        numbers[int(digits)] = path
    return numbers


def _with_times(folders: dict[str, Path], path: Path) -> list[CameraFrames]:
    """Frames with times from a file; frames that it does not list are dropped."""
    listed = read_object(path)
    found = []
    for name, folder in folders.items():
        times = listed.get(name)
        if not isinstance(times, dict) or not times:
            raise CaptureError(
                f"{path} has no times for the frames of camera {name}; remove it, or its frames"
            )
        where = f"{path}: camera {name}"
        pictures = PictureFolder(folder)
        seconds = {}
        for frame, time in times.items():
            picture = pictures.picture(frame, where)
            if picture is not None:
                seconds[picture] = number(time, frame, where)
        paths = sorted(seconds, key=lambda one: seconds[one])
        found.append(CameraFrames(name, tuple(paths), np.array([seconds[one] for one in paths])))
    return found


def first_frames(folder: Path) -> dict[str, Path]:
    """{camera: its first frame that is not black}, in natural order of names.

    Args:
        folder: from ``find_frames``.
    """
    frames = read_frames(folder, None)
    return {
        one.name: next((path for path in one.paths if not is_black(path)), one.paths[0]) for one in frames
    }


def foregrounds_of(root: Path, frames: CameraFrames) -> tuple[Path | None, ...]:
    """The foreground mask of each frame: ``seg/CAMERA/FRAME.png`` or ``foreground/CAMERA/FRAME.png``.

    Args:
        root: dataset folder.
        frames: of one camera.
    """
    places = [PictureFolder(root / name / frames.name) for name in FOREGROUND_FOLDERS]
    places = [place for place in places if place.folder.is_dir()]
    return tuple(_first(places, path.name) for path in frames.paths)


def _first(places: Sequence[PictureFolder], name: str) -> Path | None:
    found = (place.picture(name, str(place.folder)) for place in places)
    return next((path for path in found if path is not None), None)
