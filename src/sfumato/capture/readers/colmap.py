"""Reader of COLMAP models: locates their files and combines cameras, images and points."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from sfumato.capture.points import PointCloud, finite_points
from sfumato.capture.readers import colmap_binary, colmap_text
from sfumato.capture.readers.colmap_models import split_params
from sfumato.capture.readers.colmap_records import CameraRecord, ImageRecord
from sfumato.capture.readers.image_files import PictureFolder
from sfumato.capture.readers.pose_forms import from_quaternion
from sfumato.capture.readers.source import (
    Intrinsics,
    PosedDataset,
    PosedImage,
    check_intrinsics,
    contained_path,
    refuse_missing,
)
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

# Folders of a model; several models are in numbered or named folders within.
_MODEL_FOLDERS = ("sparse", "colmap/sparse", ".")
_IMAGE_FOLDERS = (
    "images",
    "colmap/images",
    "../images",
    "../../images",
    ".",
    "images_2",
    "images_4",
    "images_8",
)


def find_models(root: Path) -> tuple[Path, ...]:
    """The folders of the COLMAP models of a dataset; empty if there are none."""
    for name in _MODEL_FOLDERS:
        folder = root / name
        inside = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        if name == ".":
            inside = [path for path in inside if path.name.isdecimal()]
        numbers = sorted((path for path in inside if path.name.isdecimal()), key=lambda path: int(path.name))
        others = sorted(path for path in inside if not path.name.isdecimal())
        models = tuple(path for path in (*numbers, folder, *others) if _holds_model(path))
        if models:
            return models
    return ()


def _holds_model(folder: Path) -> bool:
    return any((folder / f"images.{extension}").is_file() for extension in ("bin", "txt"))


def read_colmap(root: Path, models: Sequence[Path]) -> PosedDataset:
    """Read the largest COLMAP model of several, which have no common frame, and find its images.

    Args:
        root: dataset folder.
        models: folders with cameras, images and, perhaps, points3D as .bin or .txt (.bin first).

    Returns:
        The dataset; points are None where the model has none.

    Raises:
        CaptureError: a file is missing or broken, or two of them disagree.
    """
    model, images_path, records = _largest(root, models)
    if not records:
        raise CaptureError(f"{images_path} lists no images; reconstruct with at least 2")
    cameras_path, reader = _file(model, "cameras")
    cameras = _ColmapCameras(reader.read_cameras(cameras_path), cameras_path)
    folder = _image_folder(root, records, str(images_path))
    paths = [folder.picture(record.name, str(images_path)) for record in records]
    missing = [record.name for record, path in zip(records, paths, strict=True) if path is None]
    refuse_missing(missing, len(records), images_path, folder.folder)
    frames = tuple(
        _frame(record, path, cameras, folder.folder, images_path)
        for record, path in zip(records, paths, strict=True)
        if path is not None
    )
    return PosedDataset(frames, _points(model))


def read_colmap_cameras(
    root: Path, models: Sequence[Path]
) -> tuple[list[tuple[str, np.ndarray, Intrinsics]], PointCloud | None]:
    """Cameras and points of the largest of several COLMAP models; its image files need not exist.

    Args:
        root: dataset folder.
        models: see ``read_colmap``.

    Returns:
        (name, camera_from_world [4, 4] float64, intrinsics) of each image, and the points.

    Raises:
        CaptureError: a file is missing or broken, or two of them disagree.
    """
    model, images_path, records = _largest(root, models)
    cameras_path, reader = _file(model, "cameras")
    cameras = _ColmapCameras(reader.read_cameras(cameras_path), cameras_path)
    return [(record.name, *_posed(record, cameras, images_path)) for record in records], _points(model)


def _largest(root: Path, models: Sequence[Path]) -> tuple[Path, Path, list[ImageRecord]]:
    """The model with most images, its file of images and their records."""
    read = []
    for model in models:
        path, reader = _file(model, "images")
        read.append((model, path, reader.read_images(path)))
    largest = max(read, key=lambda one: len(one[2]))
    if len(read) > 1:
        others = ", ".join(f"{model.relative_to(root)} with {len(found)}" for model, _, found in read)
        _log.warning(
            "%s holds %d COLMAP models (%s); using the largest, %s",
            root, len(read), others, largest[0].relative_to(root),
        )  # fmt: skip
    return largest


def _file(model: Path, stem: str) -> tuple[Path, ModuleType]:
    for extension, reader in (("bin", colmap_binary), ("txt", colmap_text)):
        path = model / f"{stem}.{extension}"
        if path.is_file():
            return path, reader
    raise CaptureError(f"{model} has no {stem}.bin or {stem}.txt; a COLMAP model needs cameras and images")


class _ColmapCameras:
    """Intrinsics by camera, created on demand: cameras without images may be of unsupported models."""

    def __init__(self, records: Sequence[CameraRecord], path: Path) -> None:
        self._path = path
        self._records: dict[int, list[CameraRecord]] = defaultdict(list)
        for record in records:
            self._records[record.camera_id].append(record)
        self._made: dict[int, Intrinsics] = {}

    def of(self, camera_id: int, spot: str) -> Intrinsics:
        found = self._records.get(camera_id, [])
        if not found:
            raise CaptureError(
                f"{spot} names camera {camera_id}, which does not exist; export the model again"
            )
        if len(found) > 1:
            raise CaptureError(f"{self._path}: camera {camera_id} is listed twice; export the model again")
        if camera_id not in self._made:
            (record,) = found
            focal_px, centre_px, lens = split_params(record.model, record.params, record.where)
            intrinsics = Intrinsics(focal_px, centre_px, record.size_px, lens, camera_id)
            self._made[camera_id] = check_intrinsics(intrinsics, record.where)
        return self._made[camera_id]


def _image_folder(root: Path, records: Sequence[ImageRecord], where: str) -> PictureFolder:
    """The first folder that contains one of the named images, by an exact name before a similar one."""
    sample = [record.name for record in records[:: max(1, len(records) // 8)]]
    folders = [PictureFolder(root / name) for name in _IMAGE_FOLDERS if (root / name).is_dir()]
    for folder in folders:
        if any(contained_path(folder.folder, name, where).is_file() for name in sample):
            return folder
    for folder in folders:
        if any(folder.picture(name, where) for name in sample):
            return folder
    return PictureFolder(root / "images")


def _frame(record: ImageRecord, path: Path, cameras: _ColmapCameras, folder: Path, where: Path) -> PosedImage:
    return PosedImage(path.relative_to(folder).as_posix(), path, None, *_posed(record, cameras, where))


def _posed(record: ImageRecord, cameras: _ColmapCameras, where: Path) -> tuple[np.ndarray, Intrinsics]:
    spot = f"{where}: image {record.name!r}"
    intrinsics = cameras.of(record.camera_id, spot)
    return from_quaternion(record.quat, record.translation, spot), intrinsics


def _points(model: Path) -> PointCloud | None:
    for extension, reader in (("bin", colmap_binary), ("txt", colmap_text)):
        path = model / f"points3D.{extension}"
        if path.is_file():
            records = reader.read_points(path)
            return finite_points(records.xyz, records.rgb, path)
    _log.warning("%s has no points3D; training will start from random points", model)
    return None
