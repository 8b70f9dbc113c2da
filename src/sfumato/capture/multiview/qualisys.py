"""Qualisys' calibrations (``Calib.qca.txt``), XML with lengths in millimetres and 64ths of pixels.

Source: the Qualisys Track Manager user manual, "Calibration file"; verified with feature matches between the
pictures of four calibrated cameras.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from sfumato.capture.multiview.calibration import CalibratedCamera, RigCalibration
from sfumato.capture.readers.brown import brown_lens
from sfumato.capture.readers.metashape_xml import parse_xml
from sfumato.capture.readers.source import rigid
from sfumato.errors import CaptureError

_SUBPIXELS = 64.0
_MM_PER_M = 1000.0
_PATTERNS = ("*.qca.txt", "*.qca.xml", "*.qca")
# Qualisys' cameras have x right, y up and z backward.
_OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])


def find_qualisys(root: Path) -> Path | None:
    """The calibration in a folder, or None."""
    return next(
        (path for pattern in _PATTERNS for path in sorted(root.glob(pattern)) if path.is_file()), None
    )


def read_qualisys(root: Path, path: Path) -> RigCalibration:
    """Read a calibration; the world is in metres.

    Args:
        root: dataset folder.
        path: the file.

    Raises:
        CaptureError: it is broken or holds no cameras with a lens.
    """
    cameras = tuple(
        _camera(camera, f"{path}: camera {camera.get('serial')!r:.40}")
        for camera in parse_xml(path).iter("camera")
        if camera.find("intrinsic") is not None
    )
    if not cameras:
        raise CaptureError(f"{path} holds no cameras with a lens; export the calibration of video cameras")
    return RigCalibration(path, cameras)


def _camera(camera: Element, where: str) -> CalibratedCamera:
    lens, pose = camera.find("intrinsic"), camera.find("transform")
    if lens is None or pose is None:
        raise CaptureError(f"{where} has no 'intrinsic' or no 'transform'; export the calibration again")
    rows = [[_number(pose, f"r{row}{column}", where) for column in (1, 2, 3)] for row in (1, 2, 3)]
    centre = np.array([_number(pose, axis, where) for axis in "xyz"]) / _MM_PER_M
    camera_from_world = np.eye(4)
    camera_from_world[:3, :3] = _OPENCV_FROM_OPENGL @ np.array(rows)
    camera_from_world[:3, 3] = -camera_from_world[:3, :3] @ centre
    least = [_number(lens, f"sensorMin{axis}", where) for axis in "UV"]
    most = [_number(lens, f"sensorMax{axis}", where) for axis in "UV"]
    focal = [_number(lens, f"focalLength{axis}", where) / _SUBPIXELS for axis in "UV"]
    middle = [_number(lens, f"centerPoint{axis}", where) for axis in "UV"]
    # Relative to the centre of the first pixel, which is (0.5, 0.5) here.
    centre_px = [(value - low) / _SUBPIXELS + 0.5 for value, low in zip(middle, least, strict=True)]
    size_px = [round((high - low) / _SUBPIXELS) + 1 for high, low in zip(most, least, strict=True)]
    radial = [_number(lens, f"radialDistortion{i}", where) for i in (1, 2, 3)]
    tangential = [_number(lens, f"tangentalDistortion{i}", where) for i in (1, 2)]
    return CalibratedCamera(
        (camera.get("serial") or "",),
        rigid(camera_from_world, where),
        (focal[0], focal[1]),
        (centre_px[0], centre_px[1]),
        (size_px[0], size_px[1]),
        brown_lens((radial[0], radial[1], radial[2]), (tangential[0], tangential[1])),
    )


def _number(element: Element, key: str, where: str) -> float:
    text = element.get(key, "")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) < 1e12:
        raise CaptureError(f"{where}: {key} must be a number, not {text!r:.40}; export the calibration again")
    return value
