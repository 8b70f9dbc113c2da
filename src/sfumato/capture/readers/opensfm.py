"""Reconstructions of OpenSfM, alone or inside a project of OpenDroneMap (ODM)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from sfumato.capture.points import PointCloud, finite_points
from sfumato.capture.readers.image_files import PictureFolder
from sfumato.capture.readers.json_values import numbers, read_json, text
from sfumato.capture.readers.opensfm_cameras import camera_intrinsics
from sfumato.capture.readers.pose_forms import from_rotation_vector
from sfumato.capture.readers.source import (
    Intrinsics,
    PosedDataset,
    PosedImage,
    refuse_missing,
)
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

# Reconstructions of the original photographs come before those of undistorted copies.
_RECONSTRUCTIONS = (
    "reconstruction.json",
    "opensfm/reconstruction.json",
    "undistorted/reconstruction.json",
    "opensfm/undistorted/reconstruction.json",
)
_IMAGE_FOLDERS = ("images", "../images", "../../images", ".")


def find_opensfm(root: Path) -> Path | None:
    """The first reconstruction of a folder whose pictures exist, else the first one, or None."""
    found = [root / name for name in _RECONSTRUCTIONS if (root / name).is_file()]
    beside = [path for path in found if any((path.parent / name).is_dir() for name in _IMAGE_FOLDERS[:2])]
    return next(iter([*beside, *found]), None)


def read_opensfm(root: Path, path: Path) -> PosedDataset:
    """Read the largest reconstruction in a file, in its own world frame.

    Args:
        root: dataset folder.
        path: its ``reconstruction.json``; pictures are searched in ``images`` beside and above it.

    Returns:
        The dataset; points are None where the reconstruction has none.

    Raises:
        CaptureError: the file is broken, or an image is missing.
    """
    where = str(path)
    reconstruction = _largest(read_json(path), path)
    cameras = _OpenSfmCameras(_object(reconstruction.get("cameras"), f"{where}: cameras"), where)
    shots = _object(reconstruction.get("shots"), f"{where}: shots")
    if not shots:
        raise CaptureError(f"{where} has no shots; reconstruct with at least 2 images")
    folder = _image_folder(path, list(shots))
    pictures = {name: folder.picture(name, where) for name in shots}
    missing = [name for name, picture in pictures.items() if picture is None]
    refuse_missing(missing, len(shots), path, folder.folder)
    frames = tuple(
        _frame(shots[name], picture, cameras, folder.folder, where)
        for name, picture in pictures.items()
        if picture is not None
    )
    return PosedDataset(frames, _points(reconstruction, path))


class _OpenSfmCameras:
    """Intrinsics by camera, created on demand: cameras without shots may be of unsupported models."""

    def __init__(self, values: dict, where: str) -> None:
        self._values, self._where = values, where
        self._made: dict[str, Intrinsics] = {}

    def of(self, camera_id: str, spot: str) -> Intrinsics:
        if camera_id not in self._values:
            raise CaptureError(
                f"{spot} names camera {camera_id!r:.80}, which does not exist; reconstruct again"
            )
        if camera_id not in self._made:
            where = f"{self._where}: camera {camera_id!r:.80}"
            self._made[camera_id] = camera_intrinsics(
                _object(self._values[camera_id], where), camera_id, where
            )
        return self._made[camera_id]


def _object(value: object, where: str) -> dict:
    if not isinstance(value, dict):
        raise CaptureError(f"{where} must be an object of JSON, not {value!r:.60}; reconstruct again")
    return value


def _largest(document: object, path: Path) -> dict:
    """The reconstruction with most shots: several have no common frame."""
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise CaptureError(
            f"{path} is not a list of reconstructions; it is not a reconstruction.json of OpenSfM"
        )
    if not document:
        raise CaptureError(f"{path} holds no reconstruction; OpenSfM could not place the images")
    sizes = [len(_object(one.get("shots"), f"{path}: shots")) for one in document]
    if len(document) > 1:
        _log.warning(
            "%s holds %d partial reconstructions; using the largest, %d of %d images",
            path, len(document), max(sizes), sum(sizes),
        )  # fmt: skip
    return document[sizes.index(max(sizes))]


def _image_folder(path: Path, names: list[str]) -> PictureFolder:
    """The first folder that holds one of the named images."""
    sample = names[:: max(1, len(names) // 8)]
    for folder in (PictureFolder(path.parent / name) for name in _IMAGE_FOLDERS):
        if folder.folder.is_dir() and any(folder.picture(name, str(path)) for name in sample):
            return folder
    return PictureFolder(path.parent / "images")


def _frame(shot: object, picture: Path, cameras: _OpenSfmCameras, folder: Path, where: str) -> PosedImage:
    name = picture.relative_to(folder).as_posix()
    spot = f"{where}: shot {name!r}"
    values = _object(shot, spot)
    intrinsics = cameras.of(text(values, "camera", spot), spot)
    rotation = numbers(values.get("rotation"), 3, "rotation", spot)
    translation = numbers(values.get("translation"), 3, "translation", spot)
    pose = from_rotation_vector(rotation, translation, spot)
    return PosedImage(name, picture, None, pose, intrinsics)


def _points(reconstruction: dict, path: Path) -> PointCloud | None:
    points = _object(reconstruction.get("points") or {}, f"{path}: points")
    xyz, rgb = np.empty((len(points), 3)), np.empty((len(points), 3))
    for i, (key, value) in enumerate(points.items()):
        where = f"{path}: point {key!r:.40}"
        values = _object(value, where)
        xyz[i] = numbers(values.get("coordinates"), 3, "coordinates", where)
        rgb[i] = numbers(values.get("color"), 3, "color", where)
    if len(points) and not ((rgb >= 0) & (rgb <= 255)).all():
        raise CaptureError(f"{path}: colours of points must be in 0 to 255; reconstruct again")
    return finite_points(xyz, np.round(rgb).astype(np.uint8), path)
