"""The common result of all dataset readers, and checks they share."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from sfumato.capture.points import PointCloud
from sfumato.errors import CaptureError
from sfumato.scene.lenses import Lens

MAX_SIDE_PX = 200_000
# Limits of file systems for names and paths, with room for an extension.
_MAX_PART_BYTES, _MAX_PATH_BYTES = 250, 2000


@dataclass(frozen=True)
class Intrinsics:
    """A camera as its file declares it, before undistortion and resizing.

    Attributes:
        focal_px:  (fx, fy).
        centre_px: (cx, cy).
        size_px:   (width, height) of the picture that the intrinsics refer to.
        lens:      distorted or ideal.
        camera_id: equal for pictures of one physical camera.
    """

    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    size_px: tuple[int, int]
    lens: Lens
    camera_id: Hashable


@dataclass(frozen=True)
class PosedImage:
    """One posed picture.

    Attributes:
        name: unique, relative to the image folder, with forward slashes.
        path: of the picture.
        mask_path: of its mask, if it has one; readers set it only if the dataset names it.
        camera_from_world: [4, 4] float64, rigid, OpenCV axes.
        intrinsics: of the distorted picture.
        time: time of capture, in the dataset's own units; None if unknown.
    """

    name: str
    path: Path
    mask_path: Path | None
    camera_from_world: np.ndarray
    intrinsics: Intrinsics
    time: float | None = None


@dataclass(frozen=True)
class PosedDataset:
    """A dataset as read, with files found but no picture decoded.

    Attributes:
        frames: in any order.
        points: None if the dataset has none.
        test_names: names of held-out images if the dataset defines a split, else None.
        split_rule: how it defines the split; empty if test_names is None.
        has_transparency: whether alpha is transparency (Blender) rather than a mask.
    """

    frames: tuple[PosedImage, ...]
    points: PointCloud | None
    test_names: frozenset[str] | None = None
    split_rule: str = ""
    has_transparency: bool = False


def read_bytes(path: Path) -> bytes:
    """The whole file.

    Raises:
        CaptureError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path} cannot be read: {error.strerror or error}") from None


def contained_path(root: Path, name: str, where: str) -> Path:
    """``root / name``, refusing names that point outside ``root``.

    Raises:
        CaptureError: the name is empty, too long, holds control characters, or points outside.
    """
    posix = name.replace("\\", "/")
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in posix.split("/")]
    too_long = max(lengths) > _MAX_PART_BYTES or sum(lengths) > _MAX_PATH_BYTES
    if not posix.strip() or too_long or any(ord(letter) < 32 for letter in posix):
        raise CaptureError(f"{where}: {name!r:.300} is not a file name")
    base = os.path.normpath(root.absolute())
    joined = os.path.normpath(os.path.join(base, posix))
    if PureWindowsPath(name).drive or not (joined + os.sep).startswith(base.rstrip(os.sep) + os.sep):
        raise CaptureError(f"{where}: {name!r} leads out of {root}; names must stay inside the dataset")
    return root / os.path.relpath(joined, base)


def refuse_missing(missing: Sequence[str], count: int, listed_in: Path, folder: Path) -> None:
    """Refuse a dataset with missing pictures.

    Args:
        missing: names of pictures that were not found.
        count: number of all pictures.
        listed_in: the file or folder that names them, for the message.
        folder: the folder that was searched, for the message.

    Raises:
        CaptureError: a picture is missing.
    """
    if missing:
        raise CaptureError(
            f"{len(missing)} of {count} images of {listed_in} are not in {folder}, the first is "
            f"{missing[0]!r:.300}; put them there or remove them from the model"
        )


def rigid(matrix: np.ndarray, where: str) -> np.ndarray:
    """Check that a transform is a rotation and translation; returns [4, 4] float64 with an exact rotation.

    Raises:
        CaptureError: it has NaN, a scale, a shear, a reflection, or another last row.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 1e12:
        raise CaptureError(f"{where}: the pose holds NaN, infinity or a huge number; remove the image")
    rotation = matrix[:3, :3]
    off = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if off > 1e-2 or np.linalg.det(rotation) < 0 or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise CaptureError(
            f"{where}: the pose is not a rotation and a translation (off by {off:.2g}); "
            "give poses without scale, shear or mirroring"
        )
    left, _, right = np.linalg.svd(rotation)
    exact = np.eye(4)
    exact[:3, :3], exact[:3, 3] = left @ right, matrix[:3, 3]
    return exact


def check_intrinsics(intrinsics: Intrinsics, where: str) -> Intrinsics:
    """The same intrinsics, after a check of their range.

    Raises:
        CaptureError: sizes, focal lengths, centre or coefficients are out of range.
    """
    (width, height), focal, centre = intrinsics.size_px, intrinsics.focal_px, intrinsics.centre_px
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise CaptureError(f"{where}: the picture size {width}x{height} is not possible")
    side = max(width, height)
    if not all(1e-2 * side < value < 1e4 * side for value in focal):
        raise CaptureError(f"{where}: focal length {focal} px is not possible for {width}x{height} pixels")
    if not all(-side < value < 2 * side for value in centre):
        raise CaptureError(f"{where}: the principal point {centre} lies far outside {width}x{height} pixels")
    if not all(abs(value) < 1e6 for value in intrinsics.lens.coefficients):
        raise CaptureError(
            f"{where}: distortion {intrinsics.lens.coefficients} holds NaN or a huge number; calibrate again"
        )
    return intrinsics
