"""Intrinsics in a transforms file: per file, overridden per frame, under alternative keys."""

from __future__ import annotations

import math
from collections.abc import Callable

from sfumato.capture.readers.colmap_models import panorama
from sfumato.capture.readers.json_values import number, numbers
from sfumato.capture.readers.source import Intrinsics, check_intrinsics
from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE, Lens

_RADIAL = ("k1", "k2", "k3", "k4", "k5", "k6")
_PERSPECTIVE = frozenset(
    {"", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "PERSPECTIVE"}
)
_FISHEYE = frozenset({"OPENCV_FISHEYE", "FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"})
_OTHER_LENS_KEYS = (
    "ftheta_p0",
    "is_latlong",
    "latlong",
    "equirectangular",
    "orthographic",
)
# The order of nerfstudio's list.
_LISTED = ("k1", "k2", "k3", "k4", "p1", "p2")
# Alternative keys for the same value: any key of a frame overrides all of the file.
_SPELLINGS = (
    ({"fl_x"}, {"camera_angle_x"}, {"x_fov"}),
    ({"fl_y"}, {"camera_angle_y"}, {"y_fov"}),
    ({*_RADIAL, "p1", "p2"}, {"distortion_params"}),
    ({"camera_model"}, {"is_fisheye"}),
)
_FOCAL_X, _FOCAL_Y = (frozenset().union(*spellings) for spellings in _SPELLINGS[:2])
_ANGLES = frozenset({"camera_angle_x", "x_fov", "camera_angle_y", "y_fov"})


def intrinsics_of(
    document: dict, frame: dict, picture_size: Callable[[], tuple[int, int]], where: str
) -> Intrinsics:
    """The intrinsics of one frame.

    Args:
        document: the file's values.
        frame: the frame's values, which override the file's, also under alternative keys.
        picture_size: returns (width, height) of the picture; called only if the file does not contain it.
        where: file and frame, for messages.

    Raises:
        CaptureError: there is no focal length, or the camera model is not supported.
    """
    values = _values(document, frame)

    def optional(key: str) -> float | None:
        return None if values.get(key) is None else number(values[key], key, where)

    width, height = optional("w"), optional("h")
    if width is None or height is None:
        width, height = picture_size()
    if not (1 <= width < 1e6 and 1 <= height < 1e6):
        raise CaptureError(f"{where}: the picture size w {width}, h {height} is not possible")
    size_px = (round(width), round(height))
    if values.get("camera_model") == "EQUIRECTANGULAR":
        # For a panorama the focal lengths follow from its size.
        focal_px, centre_px, lens = panorama(size_px)
        sphere = (size_px, str(values.get("camera_label")))
        return check_intrinsics(Intrinsics(focal_px, centre_px, size_px, lens, sphere), where)
    fx = _focal(optional, ("fl_x", "camera_angle_x", "x_fov"), width)
    fy = _focal(optional, ("fl_y", "camera_angle_y", "y_fov"), height)
    # With one focal length, pixels are square.
    fx, fy = (fy if fx is None else fx), (fx if fy is None else fy)
    if fx is None or fy is None:
        raise CaptureError(f"{where}: no focal length; give fl_x or camera_angle_x")
    cx, cy = optional("cx"), optional("cy")
    focal_px = (fx, fy)
    centre_px = (width / 2 if cx is None else cx, height / 2 if cy is None else cy)
    lens = _lens(values, where)
    camera_id = (focal_px, centre_px, size_px, lens, str(values.get("camera_label")))
    return check_intrinsics(Intrinsics(focal_px, centre_px, size_px, lens, camera_id), where)


def _values(document: dict, frame: dict) -> dict:
    """The values of the file overridden by those of a frame; null means that a value is missing."""
    own = {key: value for key, value in frame.items() if value is not None}
    overridden = set()
    for spellings in _SPELLINGS:
        used = [keys for keys in spellings if own.keys() & keys]
        overridden |= {key for keys in spellings if used and keys not in used for key in keys}
    if own.keys() & _ANGLES and not (own.keys() & _FOCAL_X and own.keys() & _FOCAL_Y):
        # With the angle of one axis, pixels are square.
        overridden |= _FOCAL_X | _FOCAL_Y
    shared = {key: value for key, value in document.items() if value is not None and key not in overridden}
    return {**shared, **own}


def _focal(optional: Callable[[str], float | None], keys: tuple[str, str, str], side: float) -> float | None:
    """Focal length from pixels, an angle in radians or one in degrees, in this order."""
    focal_key, radians_key, degrees_key = keys
    focal = optional(focal_key)
    if focal is not None:
        return focal
    angle, degrees = optional(radians_key), optional(degrees_key)
    if angle is None and degrees is not None:
        angle = math.radians(degrees)
    if angle is None:
        return None
    return 0.5 * side / math.tan(0.5 * angle) if 0.0 < angle < math.pi else math.nan


def _lens(values: dict, where: str) -> Lens:
    model = str(values.get("camera_model") or "")
    for key in _OTHER_LENS_KEYS:
        if values.get(key):
            raise CaptureError(f"{where}: lens field {key!r} is not supported; undistort the images first")
    listed = values.get("distortion_params")
    if listed is not None:
        values = {**values, **dict(zip(_LISTED, numbers(listed, 6, "distortion_params", where), strict=True))}
    k = [number(values.get(key, 0.0), key, where) for key in _RADIAL]
    p = [number(values.get(key, 0.0), key, where) for key in ("p1", "p2")]
    if values.get("is_fisheye") or model in _FISHEYE:
        if values.get("fisheye_crop_radius") is not None:
            raise CaptureError(
                f"{where}: fisheye_crop_radius is not supported; name masks with mask_path, or remove it"
            )
        if any(p) or any(k[4:]):
            raise CaptureError(f"{where}: a fisheye lens takes k1 to k4 only; p1, p2, k5 and k6 must be 0")
        return Lens("opencv_fisheye", tuple(k[:4]))
    if model not in _PERSPECTIVE:
        raise CaptureError(
            f"{where}: camera_model {model:.40} is not supported; undistort the images to PINHOLE first"
        )
    if listed is not None and k[3]:
        raise CaptureError(
            f"{where}: k4 of distortion_params is not supported, it must be 0; undistort the images first"
        )
    if any(k[2:]):
        return Lens("full_opencv", (k[0], k[1], p[0], p[1], *k[2:]))
    return Lens("opencv", (k[0], k[1], p[0], p[1])) if any(k) or any(p) else PINHOLE
