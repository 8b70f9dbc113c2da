"""EXIF metadata of a photograph: camera, focal length, position."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from PIL import Image

_MAKE, _MODEL, _EXIF_IFD = 271, 272, 0x8769
_FOCAL_MM, _FOCAL_35MM, _LENS = 0x920A, 0xA405, 0xA434
_PLANE_X, _PLANE_UNIT = 0xA20E, 0xA210
_WIDTH, _HEIGHT = 0xA002, 0xA003
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}

_FILM_DIAGONAL_MM = 43.267
"""Diagonal of the 36 mm x 24 mm frame, to which a 35 mm equivalent refers (CIPA DCG-001)."""

_CROPPED = 0.02

_GPS_IFD = 0x8825
_LATITUDE, _LONGITUDE = (1, 2, "N", "S", 90.0), (3, 4, "E", "W", 180.0)
_HEIGHT_SIDE, _GPS_HEIGHT, _BELOW = 5, 6, (1, 3)
_LOWEST_M, _HIGHEST_M = -500.0, 20_000.0

# Angles of a drone's gimbal in DJI's XMP: an attribute or an element.
_MOUNT = re.compile(rb"Gimbal(Pitch|Roll)Degree\s*(?:=\s*[\"']|>)\s*([-+]?\d{1,3}(?:\.\d{1,9})?)\s*[\"'<]")
_XMP_BYTES = 1 << 20
_LEVEL_DEG = 3.0


def tags(exif: Image.Exif) -> dict[int, Any]:
    """The tags of the main, Exif and GPS directories; none if they are broken."""
    try:
        return {**dict(exif), **dict(exif.get_ifd(_EXIF_IFD)), _GPS_IFD: dict(exif.get_ifd(_GPS_IFD))}
    except Exception:
        # A broken directory may raise anything, and the picture itself is usable.
        return {}


def tags_of_tiff(path: Path) -> dict[int, Any]:
    """The tags of a TIFF file, as most RAW files are, even if its pixels cannot be read."""
    found = Image.Exif()
    try:
        with path.open("rb") as file:
            found.load_from_fp(file)
            return tags(found)
    except Exception:
        # As in `tags`: a file of another kind may raise anything.
        return {}


def camera_name(found: dict[int, Any]) -> str | None:
    """Make, model, lens and focal length of ``tags``; None without a model."""
    model = _text(found.get(_MODEL))
    if not model:
        return None
    make, lens = _text(found.get(_MAKE)), _text(found.get(_LENS))
    focal = _positive(found.get(_FOCAL_MM))
    named = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return " ".join(part for part in (named, lens, f"{focal:g}mm" if focal else "") if part)


def focal_length_px(found: dict[int, Any], stored_px: tuple[int, int]) -> float | None:
    """Focal length of a photograph in pixels of its stored size.

    Args:
        found: result of ``tags``.
        stored_px: (width, height) of the file.

    Returns:
        From the 35 mm equivalent, else from focal length and pixel pitch; None if neither is recorded, the
        picture was cropped, or the value is implausible.
    """
    width, height = stored_px
    sides = (_positive(found.get(_WIDTH)), _positive(found.get(_HEIGHT)))
    taken = (sides[0], sides[1]) if sides[0] and sides[1] else None
    if taken:
        shapes = [max(taken) / min(taken), max(stored_px) / min(stored_px)]
        if abs(shapes[0] / shapes[1] - 1.0) > _CROPPED:
            return None
    equivalent, focal_mm = _positive(found.get(_FOCAL_35MM)), _positive(found.get(_FOCAL_MM))
    pitch, unit = _positive(found.get(_PLANE_X)), _MM_PER_UNIT.get(found.get(_PLANE_UNIT, 2))
    focal = None
    if equivalent:
        focal = equivalent / _FILM_DIAGONAL_MM * math.hypot(width, height)
    elif focal_mm and pitch and unit and taken:
        # The resolution refers to the original size; the picture may have been downscaled.
        focal = focal_mm * pitch / unit * max(stored_px) / max(taken)
    longest = max(stored_px)
    return focal if focal and 0.2 * longest < focal < 30.0 * longest else None


def place(found: dict[int, Any]) -> tuple[float, float, float | None] | None:
    """GPS position of a photograph.

    Args:
        found: result of ``tags``.

    Returns:
        Latitude and longitude in degrees, and the height in metres if it is recorded and plausible; None
        without a valid position.
    """
    gps = found.get(_GPS_IFD)
    if not isinstance(gps, dict):
        return None
    latitude, longitude = _angle(gps, *_LATITUDE), _angle(gps, *_LONGITUDE)
    # Receivers without a fix record 0, 0.
    if latitude is None or longitude is None or latitude == longitude == 0.0:
        return None
    height = _number(gps.get(_GPS_HEIGHT))
    side = gps.get(_HEIGHT_SIDE, 0)
    if height is not None and (side[0] if isinstance(side, bytes) and side else side) in _BELOW:
        height = -height
    return latitude, longitude, height if height is not None and _LOWEST_M < height < _HIGHEST_M else None


def gravity(xmp: Any) -> tuple[float, float, float] | None:
    """Gravity in the axes of a drone's camera, from the angles of its gimbal.

    Args:
        xmp: XMP metadata of a photograph as bytes or text, or None.

    Returns:
        Unit vector, x right, y down and z forward; None if it is not recorded, or the picture was not level.
    """
    text = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    if not isinstance(text, bytes):
        return None
    angles = {name: float(value) for name, value in _MOUNT.findall(text[:_XMP_BYTES])}
    pitch, roll = angles.get(b"Pitch"), angles.get(b"Roll", 0.0)
    if pitch is None or abs(pitch) > 90.0 or abs(roll) > _LEVEL_DEG:
        return None
    return 0.0, math.cos(math.radians(pitch)), -math.sin(math.radians(pitch))


def _angle(gps: dict[int, Any], side_tag: int, tag: int, plus: str, minus: str, most: float) -> float | None:
    """Degrees from up to three numbers and the letter of the hemisphere; None if they are invalid."""
    side, parts = _text(gps.get(side_tag)).upper(), gps.get(tag)
    if side not in (plus, minus) or not isinstance(parts, tuple | list) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    if any(number is None or number < 0.0 for number in numbers):
        return None
    total = sum(number / 60.0**power for power, number in enumerate(numbers) if number is not None)
    return None if total > most else total if side == plus else -total


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0.0 else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in str(value or "")).split())[:64]
