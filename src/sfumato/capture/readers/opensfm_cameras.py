"""Cameras of OpenSfM: its projection types as intrinsics."""

from __future__ import annotations

import math

from sfumato.capture.readers.brown import brown_lens
from sfumato.capture.readers.json_values import number, pixels
from sfumato.capture.readers.source import Intrinsics, check_intrinsics
from sfumato.errors import CaptureError
from sfumato.scene.lenses import Lens

# (whether it has focal_x, focal_y, c_x, c_y rather than one focal, distortion coefficients)
_TYPES: dict[str, tuple[bool, tuple[str, ...]]] = {
    "perspective": (False, ("k1", "k2")),
    "simple_radial": (True, ("k1",)),
    "radial": (True, ("k1", "k2")),
    "brown": (True, ("k1", "k2", "k3", "p1", "p2")),
    "fisheye": (False, ("k1", "k2")),
    "fisheye_opencv": (True, ("k1", "k2", "k3", "k4")),
    "fisheye62": (True, ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")),
    "fisheye624": (True, ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "s0", "s1", "s2", "s3")),
}
_SPHERES = ("spherical", "equirectangular")


def camera_intrinsics(values: dict, camera_id: str, where: str) -> Intrinsics:
    """The intrinsics of a camera.

    Focal lengths and principal points are in units of the longer side, relative to the picture's centre.

    Args:
        values: the camera's object in the reconstruction.
        camera_id: its key.
        where: file and camera, for messages.

    Raises:
        CaptureError: a field is missing or out of range, or the projection is not supported.

    Source: OpenSfM's documentation, "Geometric models".
    """
    # null means that a value is missing.
    values = {key: value for key, value in values.items() if value is not None}
    kind = values.get("projection_type", "perspective")
    size_px = (pixels(values.get("width"), "width", where), pixels(values.get("height"), "height", where))
    if kind in _SPHERES:
        # Latitude is in units of the width, like longitude.
        radius = size_px[0] / (2.0 * math.pi)
        centre_px, lens = (0.5 * size_px[0], 0.5 * size_px[1]), Lens("equirectangular")
        return check_intrinsics(Intrinsics((radius, radius), centre_px, size_px, lens, camera_id), where)
    if not isinstance(kind, str) or kind not in _TYPES:
        raise CaptureError(
            f"{where}: projection_type {kind!r:.40} is not supported; give the undistorted folder instead"
        )
    has_two, names = _TYPES[kind]
    longer = max(size_px)
    focal_keys = ("focal_x", "focal_y") if has_two else ("focal", "focal")
    focal = [longer * number(values.get(key), key, where) for key in focal_keys]
    offset = (
        [longer * number(values.get(key, 0.0), key, where) for key in ("c_x", "c_y")] if has_two else [0, 0]
    )
    terms = {name: number(values.get(name, 0.0), name, where) for name in names}
    centre_px = (0.5 * size_px[0] + offset[0], 0.5 * size_px[1] + offset[1])
    lens = _lens(kind, terms, where)
    return check_intrinsics(Intrinsics((focal[0], focal[1]), centre_px, size_px, lens, camera_id), where)


def _lens(kind: str, terms: dict[str, float], where: str) -> Lens:
    k = [terms.get(f"k{i}", 0.0) for i in range(1, 7)]
    others = {name: value for name, value in terms.items() if not name.startswith("k") and value}
    if not kind.startswith("fisheye"):
        return brown_lens(tuple(k[:3]), (terms.get("p1", 0.0), terms.get("p2", 0.0)))
    if others:
        # The nearest supported model applies these terms to distorted positions instead.
        raise CaptureError(
            f"{where}: {next(iter(others))} of {kind} is not supported; give the undistorted folder instead"
        )
    if any(k[4:]):
        return Lens("rad_tan_thin_prism_fisheye", (*k, *([0.0] * 6)))
    return Lens("opencv_fisheye", tuple(k[:4]))
