"""Record3D's exports of LiDAR videos: ``metadata.json`` with ``rgb``, or an unpacked ``.r3d`` file."""

from __future__ import annotations

import logging
from pathlib import Path

from sfumato.capture.readers.json_values import numbers, pixels, read_object
from sfumato.capture.readers.pose_forms import from_opengl, from_quaternion
from sfumato.capture.readers.source import Intrinsics, PosedDataset, PosedImage, check_intrinsics
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE

_log = logging.getLogger("sfumato")

_PLACES = (".", "EXR_RGBD")
_METADATA = ("metadata.json", "metadata")
_PICTURES = ("rgb", "rgbd")
_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png"})


def find_record3d(root: Path) -> Path | None:
    """The metadata file of an export, or None."""
    for place in _PLACES:
        folder = root / place
        if place != "." or any((folder / name).is_dir() for name in _PICTURES):
            for path in (folder / name for name in _METADATA):
                if path.is_file():
                    return path
    return None


def read_record3d(root: Path, path: Path) -> PosedDataset:
    """Read an export of Record3D; world frame in metres, with the first camera at the origin.

    Args:
        root: dataset folder.
        path: its ``metadata.json``, or the ``metadata`` of an unpacked ``.r3d`` file.

    Returns:
        The dataset, without points.

    Raises:
        CaptureError: a part is missing or broken, or the counts disagree.
    """
    values, where = read_object(path), str(path)
    poses = values.get("poses")
    if not isinstance(poses, list) or not poses:
        raise CaptureError(
            f"{where} has no poses; Record3D knows them for videos of the LiDAR camera only, not of Face ID"
        )
    intrinsics = _intrinsics(values, len(poses), where)
    pictures = _pictures(path.parent)
    if max(pictures) >= len(poses):
        raise CaptureError(
            f"{where} has {len(poses)} poses but a picture {pictures[max(pictures)].name}; export again"
        )
    if len(pictures) < len(poses):
        _log.warning("%s: %d of %d poses have no picture", where, len(poses) - len(pictures), len(poses))
    frames = tuple(
        _frame(picture, poses[index], intrinsics[index if len(intrinsics) > 1 else 0], where)
        for index, picture in sorted(pictures.items())
    )
    _log.warning("%s has no points; training will start from random points", root)
    return PosedDataset(frames, None)


def _pictures(folder: Path) -> dict[int, Path]:
    """Pictures by the number in their name."""
    place = next((folder / name for name in _PICTURES if (folder / name).is_dir()), None)
    if place is None:
        raise CaptureError(f"{folder / 'rgb'} is missing; export the video from Record3D as 'EXR + JPG'")
    found: dict[int, Path] = {}
    for path in sorted(place.iterdir()):
        if path.suffix.lower() in _EXTENSIONS and path.stem.isdecimal() and len(path.stem) < 10:
            if int(path.stem) in found:
                raise CaptureError(
                    f"{place}: {path.name} and {found[int(path.stem)].name} are one frame; keep one"
                )
            found[int(path.stem)] = path
    if not found:
        raise CaptureError(f"{place} holds no pictures named 0.jpg, 1.jpg, ...; export the video again")
    return found


def _frame(path: Path, pose: object, intrinsics: Intrinsics, where: str) -> PosedImage:
    spot = f"{where}: pose of {path.name}"
    x, y, z, w, *translation = numbers(pose, 7, "the pose", spot).tolist()
    world_from_camera = from_quaternion((w, x, y, z), tuple(translation), spot)
    return PosedImage(path.name, path, None, from_opengl(world_from_camera, spot), intrinsics)


def _intrinsics(values: dict, count: int, where: str) -> tuple[Intrinsics, ...]:
    """Intrinsics common to all frames, or one per frame."""
    for key in ("w", "h", "K"):
        if key not in values:
            raise CaptureError(f"{where} has no {key}; export the video from Record3D again")
    size_px = (pixels(values["w"], "w", where), pixels(values["h"], "h", where))
    matrix = numbers(values["K"], 9, "K", where).reshape(3, 3).T
    if (
        abs(matrix - [[matrix[0, 0], 0, matrix[0, 2]], [0, matrix[1, 1], matrix[1, 2]], [0, 0, 1]]).max()
        > 1e-6
    ):
        raise CaptureError(f"{where}: K is not the columns of an intrinsic matrix without skew; export again")
    rows = [[matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]]
    each = values.get("perFrameIntrinsicCoeffs")
    if each:
        if not isinstance(each, list) or len(each) != count:
            raise CaptureError(
                f"{where}: perFrameIntrinsicCoeffs must have one row for each of {count} poses"
            )
        rows = [numbers(row, 4, "perFrameIntrinsicCoeffs", where).tolist() for row in each]
    made = (
        Intrinsics((float(fx), float(fy)), (float(cx), float(cy)), size_px, PINHOLE, "record3d")
        for fx, fy, cx, cy in rows
    )
    return tuple(check_intrinsics(one, where) for one in made)
