"""Calibrations in OpenCV's conventions in TOML (Pose2Sim, aniposelib) or JSON: K, D, and extrinsics.

OpenCV's origin is the centre of the first pixel, which is (0.5, 0.5) here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from sfumato.capture.multiview.calibration import CalibratedCamera, RigCalibration
from sfumato.capture.readers.brown import brown_lens
from sfumato.capture.readers.json_values import number, numbers, pixels, read_json
from sfumato.capture.readers.pose_forms import from_rotation_vector
from sfumato.capture.readers.source import read_bytes, rigid
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE, Lens

_INTRINSIC = ("K", "k", "matrix", "camera_matrix", "intrinsics", "intrinsic")
_DISTORTION = ("D", "distortions", "distortion", "dist", "dist_coeffs", "distCoef")
_SIZE = ("size", "resolution", "image_size", "imgSize")
_POSE = ("w2c", "camera_from_world", "world_to_camera", "extrinsics", "extrinsic", "extrinsic_matrix")
_ROTATION, _TRANSLATION = ("rotation", "R", "rvec"), ("translation", "t", "T", "tvec")
_MOST_BYTES = 1 << 26
_PATTERNS = ("*.toml", "cameras.json", "calib*.json", "*calib.json", "*calibration*.json")


def find_opencv(root: Path) -> Path | None:
    """A TOML or JSON file named like a calibration, or None; nothing is read."""
    found = (path for pattern in _PATTERNS for path in sorted(root.glob(pattern)) if path.is_file())
    return next((path for path in found if path.name != "pyproject.toml"), None)


def read_opencv(root: Path, path: Path) -> RigCalibration:
    """Read a calibration whose cameras each have K, D, a pose and, perhaps, a name and a size.

    Args:
        root: dataset folder.
        path: the file, TOML or JSON: a table of cameras by name, a list of them, or either under "cameras".

    Raises:
        CaptureError: it is broken, holds no cameras, or one of them has a lens that is not supported.
    """
    values = _toml(path) if path.suffix.lower() == ".toml" else read_json(path)
    cameras = tuple(_camera(name, camera, f"{path}: camera {name}") for name, camera in _listed(values))
    if not cameras:
        raise CaptureError(f"{path} holds no camera with a matrix K; give a calibration with K, D and a pose")
    return RigCalibration(path, cameras)


def _toml(path: Path) -> object:
    try:
        # In the standard library from Python 3.11.
        tomllib = import_module("tomllib")
    except ModuleNotFoundError:
        raise CaptureError(f"{path}: TOML is read by Python 3.11 and later; write the same as JSON") from None
    if path.is_file() and path.stat().st_size > _MOST_BYTES:
        raise CaptureError(f"{path} is larger than {_MOST_BYTES >> 20} MiB; too large for a calibration")
    try:
        return tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CaptureError(f"{path} is not TOML ({' '.join(str(error).split())}); write it again") from None


def _listed(values: object) -> Iterator[tuple[str, dict]]:
    """(name, values) of every entry with intrinsics."""
    if isinstance(values, dict) and isinstance(values.get("cameras"), (list, dict)):
        values = values["cameras"]
    items = (
        values.items() if isinstance(values, dict) else enumerate(values if isinstance(values, list) else [])
    )
    for key, value in items:
        if isinstance(value, dict) and _get(value, _INTRINSIC) is not None:
            yield str(key), value


def _get(values: dict, keys: Sequence[str]) -> object:
    return next((values[key] for key in keys if values.get(key) is not None), None)


def _camera(key: str, values: dict, where: str) -> CalibratedCamera:
    focal_px, centre_px = _matrix(_get(values, _INTRINSIC), where)
    named = values.get("name")
    names = (named, key) if isinstance(named, str) and named else (key,)
    lens = _lens(_get(values, _DISTORTION), bool(values.get("fisheye")), where)
    return CalibratedCamera(names, _pose(values, where), focal_px, centre_px, _size(values, where), lens)


def _matrix(value: object, where: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Focal lengths, and the principal point relative to the corner of the picture."""
    if isinstance(value, list) and len(value) == 4:
        fx, fy, cx, cy = numbers(value, 4, "K", where)
    elif isinstance(value, list) and len(value) == 3:
        (fx, skew, cx), (_, fy, cy), _ = (numbers(row, 3, "K", where) for row in value)
        if abs(skew) > 1e-3 * abs(fx):
            raise CaptureError(
                f"{where}: K has a skew of {skew:.6g}, which is not supported; calibrate without"
            )
    else:
        raise CaptureError(f"{where}: K must be 3 rows of 3 numbers, or fx, fy, cx and cy")
    return (float(fx), float(fy)), (float(cx) + 0.5, float(cy) + 0.5)


def _size(values: dict, where: str) -> tuple[int, int] | None:
    given = _get(values, _SIZE)
    sides = given if isinstance(given, list) and len(given) == 2 else None
    for width, height in (("w", "h"), ("width", "height")):
        if sides is None and values.get(width) is not None:
            sides = [values.get(width), values.get(height)]
    return None if sides is None else (pixels(sides[0], "size", where), pixels(sides[1], "size", where))


def _lens(value: object, is_fisheye: bool, where: str) -> Lens:
    """OpenCV's order: k1, k2, p1, p2, k3, k4, k5, k6; of a fisheye k1 to k4."""
    if value is not None and not isinstance(value, list):
        raise CaptureError(f"{where}: D must be a list of numbers, not {value!r:.60}")
    terms = [number(one, "D", where) for one in _flat(value)]
    if any(terms[4 if is_fisheye else 8 :]):
        raise CaptureError(
            f"{where}: D has {len(terms)} terms, of which {4 if is_fisheye else 8} are supported; calibrate "
            "with fewer"
        )
    terms = (terms + [0.0] * 8)[:8]
    if is_fisheye:
        return Lens("opencv_fisheye", tuple(terms[:4]))
    k1, k2, p1, p2, k3, *more = terms
    if any(more):
        return Lens("full_opencv", tuple(terms))
    return brown_lens((k1, k2, k3), (p1, p2)) if any(terms) else PINHOLE


def _pose(values: dict, where: str) -> np.ndarray:
    """camera_from_world, from one matrix, or a rotation (Rodrigues' vector or a matrix) and a translation."""
    whole = _get(values, _POSE)
    if isinstance(whole, list) and len(whole) in (3, 4):
        pose = np.eye(4)
        pose[: len(whole)] = [numbers(row, 4, "the pose", where) for row in whole]
        return rigid(pose, where)
    shift = np.array([number(one, "translation", where) for one in _flat(_get(values, _TRANSLATION))])
    turn = np.array([number(one, "rotation", where) for one in _flat(_get(values, _ROTATION))])
    if shift.shape != (3,) or turn.shape not in ((3,), (9,)):
        raise CaptureError(
            f"{where}: no pose; give 'rotation' (a vector of Rodrigues or 3 rows of 3) and 'translation', or "
            "'w2c' with 4 rows of 4 numbers"
        )
    if turn.shape == (3,):
        return from_rotation_vector(turn, shift, where)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.reshape(3, 3), shift
    return rigid(pose, where)


def _flat(value: object) -> list:
    """Numbers of a list, or of a matrix written row by row."""
    rows = value if isinstance(value, list) else []
    return [one for row in rows for one in (row if isinstance(row, list) else [row])]
