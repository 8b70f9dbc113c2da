"""Calibrations of rigs, and matching their cameras with those of a video."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.capture.natural_order import natural_key
from sfumato.capture.points import PointCloud
from sfumato.capture.readers.image_files import folded, without_extension
from sfumato.capture.readers.source import Intrinsics, check_intrinsics
from sfumato.errors import CaptureError
from sfumato.scene.lenses import Lens

_log = logging.getLogger("sfumato")

# Encoders crop up to a block of pixels at a border.
_BLOCK_PX = 16
_SAME_ASPECT = 1e-3
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera of a calibration.

    Attributes:
        names: in the file, the best first: names of the camera, or of one of its pictures.
        camera_from_world: [4, 4] float64, rigid, OpenCV axes.
        focal_px: (fx, fy).
        centre_px: (cx, cy); the centre of pixel (0, 0) is (0.5, 0.5).
        size_px: (width, height) to which the intrinsics refer; None if the file does not contain it.
        lens: distorted or ideal.
    """

    names: tuple[str, ...]
    camera_from_world: np.ndarray
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    size_px: tuple[int, int] | None
    lens: Lens

    def intrinsics(self, name: str, picture_px: tuple[int, int], where: str) -> Intrinsics:
        """Intrinsics for pictures of a size, which may be resized, or cropped by a block at most.

        Args:
            name: of the camera.
            picture_px: (width, height) of its pictures.
            where: file and camera, for messages.

        Raises:
            CaptureError: the pictures have another aspect ratio, or the intrinsics are impossible.
        """
        size_px = self.size_px or picture_px
        missing = [full - here for full, here in zip(size_px, picture_px, strict=True)]
        centre_px = self.centre_px
        if any(missing) and not _is_resized(size_px, picture_px):
            if not all(0 <= side <= _BLOCK_PX for side in missing):
                turned = " on its side" if _is_resized(size_px[::-1], picture_px) else ""
                raise CaptureError(
                    f"{where}: calibrated for {size_px[0]}x{size_px[1]} pixels but its frames are "
                    f"{picture_px[0]}x{picture_px[1]}{turned}; give the calibration of these frames"
                )
            _log.warning(
                "%s: calibrated for %dx%d pixels but its frames are %dx%d; taken as cropped evenly on both "
                "sides, which may be off by %g pixels",
                where, *size_px, *picture_px, 0.5 * max(missing),
            )  # fmt: skip
            size_px = picture_px
            centre_px = (centre_px[0] - 0.5 * missing[0], centre_px[1] - 0.5 * missing[1])
        return check_intrinsics(Intrinsics(self.focal_px, centre_px, size_px, self.lens, name), where)


def _is_resized(size_px: Sequence[int], other_px: Sequence[int]) -> bool:
    """Whether two picture sizes differ in scale only, up to rounding to whole pixels."""
    scale = other_px[0] / size_px[0]
    return abs(size_px[1] * scale - other_px[1]) <= max(0.5 + 0.5 * scale, _SAME_ASPECT * other_px[1])


@dataclass(frozen=True)
class RigCalibration:
    """All cameras of a calibration.

    Attributes:
        path: the file.
        cameras: in the file's order.
        points: of the scene, world frame, if it has any.
        is_in_order: its cameras have no names; they are in the natural order of the video's.
        first_is_held_out: by convention the first camera is held out.
    """

    path: Path
    cameras: tuple[CalibratedCamera, ...]
    points: PointCloud | None = None
    is_in_order: bool = False
    first_is_held_out: bool = False


def matched(calibration: RigCalibration, names: Sequence[str]) -> dict[str, CalibratedCamera]:
    """The calibrated camera of each camera of the video that has one.

    They are matched by name; else by the last number in each name; else by order, if both have as many.

    Args:
        calibration: as read.
        names: of the video's cameras.

    Raises:
        CaptureError: fewer than two are calibrated, or two calibrated cameras fit one.
    """
    if calibration.is_in_order and len(calibration.cameras) == len(names):
        return dict(zip(sorted(names, key=natural_key), calibration.cameras, strict=True))
    for key, what in ((_plain, None), (_last_number, "by the numbers in their names")):
        found = _by(key, calibration, names)
        if len(found) > 1:
            if what is not None:
                _log.warning(
                    "%s has other camera names than the video; cameras are matched %s", calibration.path, what
                )
            _warn_of_rest(calibration, names, found)
            return found
    if len(calibration.cameras) == len(names) > 1:
        order = sorted(names, key=natural_key)
        _log.warning(
            "%s has other camera names than the video; cameras are matched in order, %s with %s "
            "to %s with %s", calibration.path, calibration.cameras[0].names[0], order[0],
            calibration.cameras[-1].names[0], order[-1],
        )  # fmt: skip
        return dict(zip(order, calibration.cameras, strict=True))
    theirs = ", ".join(name for camera in calibration.cameras[:3] for name in camera.names[:1])
    raise CaptureError(
        f"{calibration.path} calibrates {len(calibration.cameras)} cameras ({theirs or 'without names'}), "
        f"which are not the video's {len(names)} ({', '.join(names[:3])}); use the same names"
    )


def _by(
    key: Callable[[str], str], calibration: RigCalibration, names: Sequence[str]
) -> dict[str, CalibratedCamera]:
    """Cameras of the video whose key is that of one calibrated camera."""
    found: dict[str, CalibratedCamera] = {}
    wanted = {key(name): name for name in names}
    if len(wanted) < len(names):
        return {}
    for camera in calibration.cameras:
        name = next((wanted[key(one)] for one in camera.names if key(one) and key(one) in wanted), None)
        if name is not None and name in found:
            raise CaptureError(
                f"{calibration.path}: {found[name].names[0]} and {camera.names[0]} may both be camera "
                f"{name}; keep one of them"
            )
        if name is not None:
            found[name] = camera
    return found


def _plain(name: str) -> str:
    return folded(without_extension(name))


def _last_number(name: str) -> str:
    found = _LAST_NUMBER.search(without_extension(name))
    return found.group(1).lstrip("0") or "0" if found else ""


def _warn_of_rest(
    calibration: RigCalibration, names: Sequence[str], found: dict[str, CalibratedCamera]
) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        _log.warning(
            "%s: %d of %d cameras are not calibrated and left out, the first is %s",
            calibration.path, len(missing), len(names), missing[0],
        )  # fmt: skip
    unused = len(calibration.cameras) - len(found)
    if unused:
        _log.warning("%s: %d calibrated cameras have no frames", calibration.path, unused)
