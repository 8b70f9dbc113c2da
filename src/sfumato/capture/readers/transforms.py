"""``transforms.json`` of instant-ngp and nerfstudio, and Blender's ``transforms_train/val/test.json``."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.capture.images import read_header
from sfumato.capture.points import PointCloud, read_ply_points
from sfumato.capture.readers.image_files import PictureFolder, folded, without_extension
from sfumato.capture.readers.json_values import number, read_json, text
from sfumato.capture.readers.pose_forms import from_opengl
from sfumato.capture.readers.source import PosedDataset, PosedImage
from sfumato.capture.readers.transforms_intrinsics import intrinsics_of
from sfumato.errors import CaptureError

_log = logging.getLogger("sfumato")

# Largest time, in seconds or any other unit; larger numbers, infinity and NaN are ignored.
_MOST_TIME = 1e12
_DEPTH_KEYS = ("depth_file_path", "depth_path")


@dataclass(frozen=True)
class _TransformsFile:
    path: Path
    values: dict
    frames: list[dict]
    folder: PictureFolder


def find_transforms(root: Path) -> tuple[Path, ...]:
    """The transforms files of a dataset folder: Blender's two or three, or the single one, or none."""
    blender = tuple(root / f"transforms_{part}.json" for part in ("train", "test", "val"))
    if blender[0].is_file():
        return tuple(path for path in blender if path.is_file())
    single = root / "transforms.json"
    return (single,) if single.is_file() else ()


def read_transforms(paths: tuple[Path, ...]) -> PosedDataset:
    """Read posed pictures, in the world frame of the poses in the file.

    nerfstudio's ``applied_transform`` and ``applied_scale`` describe how its poses and its ``.ply`` were
    transformed from COLMAP's frame; both are in the same frame and are kept. Keys for further transforms
    (``orientation_override``, ``scale``, ``offset``, ``aabb_scale``) and those that describe the origin of
    the data (``colmap_im_id``, ``sharpness``) are ignored. Depth is not used.

    Args:
        paths: from ``find_transforms``.

    Raises:
        CaptureError: not JSON, a field is missing or of the wrong kind, a pose is not rigid, or none
            of the pictures exists.
    """
    if len(paths) > 1 or paths[0].name == "transforms_train.json":
        return _read_blender(paths)
    document = _document(paths[0])
    frames = _frames(document)
    points = _points(document)
    parts = {key: _listed(document, f"{key}_filenames", frames) for key in ("train", "test", "val")}
    held_out = "test" if parts["test"] else "val"
    train, test = parts["train"], parts[held_out]
    if train is None or not test:
        return PosedDataset(frames, points)
    used = tuple(frame for frame in frames if frame.name in train | test)
    if len(used) < len(frames):
        _log.warning("%s: %d images are in neither part of its split", paths[0], len(frames) - len(used))
    return PosedDataset(used, points, frozenset(test), f"{held_out}_filenames of {paths[0].name}")


def _read_blender(paths: tuple[Path, ...]) -> PosedDataset:
    """Train on transforms_train.json and hold out transforms_test.json, or transforms_val.json without it."""
    documents = [_document(path) for path in paths[:2]]
    parts = [_frames(document) for document in documents]
    frames = tuple(frame for part in parts for frame in part)
    points = _points(documents[0])
    if len(parts) == 1:
        return PosedDataset(frames, points, has_transparency=True)
    test = frozenset(frame.name for frame in parts[1])
    return PosedDataset(frames, points, test, paths[1].name, has_transparency=True)


def _document(path: Path) -> _TransformsFile:
    values = read_json(path)
    frames = values.get("frames") if isinstance(values, dict) else None
    if (
        not isinstance(values, dict)
        or not isinstance(frames, list)
        or not all(isinstance(frame, dict) for frame in frames)
    ):
        raise CaptureError(f"{path} has no list 'frames' of objects; it is not a transforms file")
    if not frames:
        raise CaptureError(f"{path}: 'frames' is empty; a scene needs at least 2 images")
    return _TransformsFile(path, values, frames, PictureFolder(path.parent))


def _frames(document: _TransformsFile) -> tuple[PosedImage, ...]:
    found = [_frame(document, i, values) for i, values in enumerate(document.frames)]
    frames = tuple(frame for frame in found if frame is not None)
    missing = len(found) - len(frames)
    first = next((v.get("file_path") for v, f in zip(document.frames, found, strict=True) if f is None), None)
    if not frames:
        raise CaptureError(
            f"{document.path}: none of its {len(found)} images exists, the first is {first!r}; "
            "put the images where file_path says"
        )
    if missing:
        _log.warning(
            "%s: skipped %d of %d images that do not exist, the first is %r",
            document.path, missing, len(found), first,
        )  # fmt: skip
    if any(values.get(key) is not None for values in document.frames for key in _DEPTH_KEYS):
        _log.warning("%s names depth maps; they are not used, only the pictures are", document.path)
    return frames


def _frame(document: _TransformsFile, index: int, values: dict) -> PosedImage | None:
    """The frame, or None if its picture does not exist."""
    where = f"{document.path}: frame {index}"
    root = document.path.parent
    file_path = text(values, "file_path", where)
    path = document.folder.picture(file_path, where)
    if path is None:
        return None
    name = path.relative_to(root).as_posix()
    where = f"{where} ({file_path})"
    pose = from_opengl(_matrix(values.get("transform_matrix"), where), where)
    intrinsics = intrinsics_of(document.values, values, lambda: read_header(path).size_px, where)
    return PosedImage(name, path, _mask(document, values, where), pose, intrinsics, _time(values))


def _time(values: dict) -> float | None:
    """Time of a frame; values of other types, which some programs write under this key, are ignored."""
    time = values.get("time")
    if isinstance(time, (int, float)) and not isinstance(time, bool) and abs(time) < _MOST_TIME:
        return float(time)
    return None


def _mask(document: _TransformsFile, values: dict, where: str) -> Path | None:
    if values.get("mask_path") is None:
        return None
    named = text(values, "mask_path", where)
    mask = document.folder.picture(named, where)
    if mask is None:
        there = document.path.parent / named
        raise CaptureError(f"{where}: its mask {there} does not exist; restore it or remove mask_path")
    return mask


def _matrix(rows: object, where: str) -> np.ndarray:
    """A 4x4 matrix; the last row of a 3x4 matrix is added."""
    given = rows if isinstance(rows, list) else []
    shape = [len(row) if isinstance(row, list) else 0 for row in given]
    if shape not in ([4, 4, 4], [4, 4, 4, 4]):
        raise CaptureError(f"{where}: transform_matrix must be 4 rows of 4 numbers")
    matrix = np.eye(4)
    matrix[: len(shape)] = [[number(value, "transform_matrix", where) for value in row] for row in given]
    return matrix


def _points(document: _TransformsFile) -> PointCloud | None:
    if document.values.get("ply_file_path") is None:
        return None
    named = text(document.values, "ply_file_path", str(document.path))
    cloud = document.folder.file(named, f"{document.path}: ply_file_path")
    if cloud is None:
        _log.warning(
            "%s: the cloud of ply_file_path, %r, does not exist; training will start from random points",
            document.path, named,
        )  # fmt: skip
        return None
    return read_ply_points(cloud)


def _listed(document: _TransformsFile, key: str, frames: tuple[PosedImage, ...]) -> set[str] | None:
    """Names of the frames in a split list; None without such a list."""
    listed = document.values.get(key)
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise CaptureError(f"{document.path}: {key} must be a list of file names")
    wanted = {_plain(os.path.normpath(name.replace("\\", "/"))) for name in listed}
    return {frame.name for frame in frames if _plain(frame.name) in wanted}


def _plain(name: str) -> str:
    """A normalised name, equal for all names of one picture."""
    return folded(without_extension(name))
