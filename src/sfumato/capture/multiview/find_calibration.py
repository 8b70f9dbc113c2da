"""The calibration of a rig among the files of a folder."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sfumato.capture.multiview.calibration import CalibratedCamera, RigCalibration
from sfumato.capture.multiview.opencv_values import find_opencv, read_opencv
from sfumato.capture.multiview.poses_bounds import find_bounds, read_bounds
from sfumato.capture.multiview.qualisys import find_qualisys, read_qualisys
from sfumato.capture.readers import Intrinsics
from sfumato.capture.readers.colmap import find_models, read_colmap_cameras
from sfumato.capture.readers.image_files import without_extension
from sfumato.capture.readers.transforms import find_transforms, read_transforms
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

_FRAME_NUMBER = re.compile(r"[^0-9A-Za-z]+\d+$")


@dataclass(frozen=True)
class _CalibrationFormat:
    """A calibration format: a function that finds it in a folder (falsy if absent), and its reader."""

    name: str
    find: Callable[[Path], Any]
    read: Callable[[Path, Any], RigCalibration]


def _read_colmap(root: Path, models: Any) -> RigCalibration:
    posed, points = read_colmap_cameras(root, models)
    return RigCalibration(models[0], tuple(_of_picture(*one) for one in posed), points)


def _read_transforms(root: Path, paths: tuple[Path, ...]) -> RigCalibration:
    source = read_transforms(paths)
    cameras = (_of_picture(frame.name, frame.camera_from_world, frame.intrinsics) for frame in source.frames)
    return RigCalibration(paths[0], tuple(cameras), source.points)


def _of_picture(name: str, camera_from_world: np.ndarray, given: Intrinsics) -> CalibratedCamera:
    """A camera named by its picture: by a folder, by the file name, or by that without a frame number."""
    *folders, file = PurePosixPath(name.replace("\\", "/")).parts
    stem = without_extension(file)
    names = tuple(dict.fromkeys((*reversed(folders), stem, _FRAME_NUMBER.sub("", stem))))
    return CalibratedCamera(
        names, camera_from_world, given.focal_px, given.centre_px, given.size_px, given.lens
    )


_KINDS = (
    _CalibrationFormat("a COLMAP model", find_models, _read_colmap),
    _CalibrationFormat("transforms", find_transforms, _read_transforms),
    _CalibrationFormat("a calibration with OpenCV's numbers", find_opencv, read_opencv),
    _CalibrationFormat("a calibration of Qualisys", find_qualisys, read_qualisys),
    _CalibrationFormat("poses_bounds.npy", find_bounds, read_bounds),
)


def holds_calibration(path: Path) -> bool:
    """Whether a path is a file, or a folder that appears to hold a calibration; nothing is read."""
    return path.is_file() or any(kind.find(path) for kind in _KINDS)


def read_calibration(path: Path) -> RigCalibration:
    """Read the calibration at ``path``, of the first format found.

    Args:
        path: a file, or a folder that holds one or a COLMAP model.

    Raises:
        CaptureError: there is none, or it is broken.
    """
    if path.is_file():
        return _read_file(path)
    found = [(kind, what) for kind in _KINDS if (what := kind.find(path))]
    if not found:
        raise CaptureError(
            f"{path} holds no calibration: no COLMAP model (sparse/0), transforms.json, TOML or JSON "
            "with K, D and poses, Calib.qca.txt or poses_bounds.npy"
        )
    kind, what = found[0]
    if len(found) > 1:
        others = " and ".join(other.name for other, _ in found[1:])
        _log.warning("%s has %s and %s; using %s", path, kind.name, others, kind.name)
    return kind.read(path, what)


def _read_file(path: Path) -> RigCalibration:
    name = path.name.lower()
    if name.endswith(".npy"):
        return read_bounds(path.parent, path)
    if name.endswith((".qca.txt", ".qca.xml", ".qca", ".xml")):
        return read_qualisys(path.parent, path)
    if name.startswith("transforms") and name.endswith(".json"):
        return _read_transforms(path.parent, (path,))
    if name.endswith((".toml", ".json")):
        return read_opencv(path.parent, path)
    raise CaptureError(
        f"{path} is not a calibration; give a .toml, .json, .qca.txt or .npy file, or a folder"
    )
