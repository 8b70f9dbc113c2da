"""A COLMAP folder: where its parts lie, and what they say together."""

from __future__ import annotations

import logging
from pathlib import Path

from sfumato.capture.points import PointCloud, finite_points
from sfumato.capture.readers import colmap_binary, colmap_text
from sfumato.capture.readers.colmap_models import split_params
from sfumato.capture.readers.poses import from_quaternion
from sfumato.capture.readers.records import CameraRecord, ImageRecord
from sfumato.capture.readers.source import (
    Frame,
    Intrinsics,
    Source,
    check_intrinsics,
    contained_path,
    find_mask,
    refuse_missing,
)
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

_MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")
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


def find_model(root: Path) -> Path | None:
    """The folder under ``root`` that holds a COLMAP model, or None."""
    for folder in (root / name for name in _MODEL_FOLDERS):
        if any((folder / f"images.{ext}").is_file() for ext in ("bin", "txt")):
            return folder
    return None


def read_colmap(root: Path, model: Path) -> Source:
    """Read a COLMAP model and find its images.

    Args:
        root: dataset folder.
        model: folder with cameras, images and, perhaps, points3D as .bin or .txt (.bin first).

    Returns:
        The dataset; points are None where the model has none.

    Raises:
        CaptureError: a file is missing or broken, or two of them disagree.
    """
    images_path, reader = _file(model, "images")
    cameras_path, camera_reader = _file(model, "cameras")
    cameras = _intrinsics(camera_reader.read_cameras(cameras_path), cameras_path)
    records = reader.read_images(images_path)
    if not records:
        raise CaptureError(f"{images_path} lists no images; reconstruct with at least 2")
    folder = _image_folder(root, records, images_path)
    frames = tuple(_frame(record, cameras, root, folder, images_path) for record in records)
    missing = [frame.name for frame in frames if not frame.path.is_file()]
    refuse_missing(missing, len(frames), images_path, folder)
    return Source(frames, _points(model))


def _file(model: Path, stem: str):
    for extension, reader in (("bin", colmap_binary), ("txt", colmap_text)):
        path = model / f"{stem}.{extension}"
        if path.is_file():
            return path, reader
    raise CaptureError(f"{model} has no {stem}.bin or {stem}.txt; a COLMAP model needs cameras and images")


def _intrinsics(records: list[CameraRecord], path: Path) -> dict[int, Intrinsics]:
    cameras: dict[int, Intrinsics] = {}
    for record in records:
        where = f"{path}: camera {record.camera_id}"
        if record.camera_id in cameras:
            raise CaptureError(f"{where} is listed twice; export the model again")
        focal_px, centre_px, lens = split_params(record.model, record.params, where)
        intrinsics = Intrinsics(focal_px, centre_px, record.size_px, lens, record.camera_id)
        cameras[record.camera_id] = check_intrinsics(intrinsics, where)
    return cameras


def _image_folder(root: Path, records: list[ImageRecord], where: Path) -> Path:
    """The first folder that holds one of the named images."""
    sample = records[:: max(1, len(records) // 8)]
    for folder in (root / name for name in _IMAGE_FOLDERS):
        if folder.is_dir() and any(contained_path(folder, r.name, str(where)).is_file() for r in sample):
            return folder
    return root / "images"


def _frame(
    record: ImageRecord, cameras: dict[int, Intrinsics], root: Path, folder: Path, where: Path
) -> Frame:
    spot = f"{where}: image {record.name!r}"
    if record.camera_id not in cameras:
        raise CaptureError(
            f"{spot} names camera {record.camera_id}, which does not exist; export the model again"
        )
    path = contained_path(folder, record.name, str(where))
    name = path.relative_to(folder).as_posix()
    pose = from_quaternion(record.quat, record.translation, spot)
    return Frame(name, path, find_mask(root, path, name), pose, cameras[record.camera_id])


def _points(model: Path) -> PointCloud | None:
    for extension, reader in (("bin", colmap_binary), ("txt", colmap_text)):
        path = model / f"points3D.{extension}"
        if path.is_file():
            records = reader.read_points(path)
            return finite_points(records.xyz, records.rgb, path)
    _log.warning("%s has no points3D; training will start from random points", model)
    return None
