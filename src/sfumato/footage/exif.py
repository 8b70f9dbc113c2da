"""What a camera recorded beside a photograph: which camera it is, and its focal length."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from PIL import Image

_MAKE, _MODEL, _EXIF_IFD = 271, 272, 0x8769
_FOCAL_MM, _FOCAL_35MM, _LENS = 0x920A, 0xA405, 0xA434
_PLANE_X, _PLANE_UNIT = 0xA20E, 0xA210
_WIDTH, _HEIGHT = 0xA002, 0xA003
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}

_FILM_DIAGONAL_MM = 43.267
"""Of the 36 mm x 24 mm frame, to which a 35 mm equivalent refers (CIPA DCG-001)."""

_CROPPED = 0.02


def tags(exif: Image.Exif) -> dict[int, Any]:
    """The tags of the main and the photographic directory; none if they are broken."""
    try:
        return {**dict(exif), **dict(exif.get_ifd(_EXIF_IFD))}
    except Exception:
        # A broken directory can fail in any way, and takes nothing from the picture itself.
        return {}


def tags_of_tiff(path: Path) -> dict[int, Any]:
    """The tags of a TIFF file, as most RAW files are, whether or not its pixels can be read."""
    found = Image.Exif()
    try:
        with path.open("rb") as file:
            found.load_from_fp(file)
            return tags(found)
    except Exception:
        # As for `tags`: a file of another kind fails in any way.
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
        found: of ``tags``.
        stored_px: (width, height) of the file.

    Returns:
        From the 35 mm equivalent, else from focal length and pixel pitch; None if neither is there, or
        the picture was cropped since, or the number is no focal length of a camera.
    """
    width, height = stored_px
    taken = (_positive(found.get(_WIDTH)), _positive(found.get(_HEIGHT)))
    if taken[0] and taken[1]:
        shapes = [max(taken) / min(taken), max(stored_px) / min(stored_px)]
        if abs(shapes[0] / shapes[1] - 1.0) > _CROPPED:
            return None
    equivalent, focal_mm = _positive(found.get(_FOCAL_35MM)), _positive(found.get(_FOCAL_MM))
    pitch, unit = _positive(found.get(_PLANE_X)), _MM_PER_UNIT.get(found.get(_PLANE_UNIT, 2))
    focal = None
    if equivalent:
        focal = equivalent / _FILM_DIAGONAL_MM * math.hypot(width, height)
    elif focal_mm and pitch and unit and taken[0] and taken[1]:
        # The resolution is that of the picture as it was taken, which may have been made smaller.
        focal = focal_mm * pitch / unit * max(stored_px) / max(taken)
    longest = max(stored_px)
    return focal if focal and 0.2 * longest < focal < 30.0 * longest else None


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0.0 else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in str(value or "")).split())[:64]
