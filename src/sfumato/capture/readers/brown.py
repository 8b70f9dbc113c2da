"""Polynomial distortion models of photogrammetry programs, converted to the supported lens models."""

from __future__ import annotations

import math

from sfumato.errors import CaptureError
from sfumato.scene.lenses import PINHOLE, Lens

_NEGLIGIBLE_PX = 0.05


def brown_lens(radial: tuple[float, ...], tangential: tuple[float, float]) -> Lens:
    """A perspective lens with 1 + k1 r^2 + k2 r^4 + k3 r^6 and tangential terms.

    Args:
        radial: (k1, k2, k3).
        tangential: (p1, p2) in OpenCV's order: in x, p1 multiplies 2xy, and p2 multiplies r^2 + 2x^2.
    """
    k1, k2, k3 = radial
    if k3:
        return Lens("full_opencv", (k1, k2, *tangential, k3, 0.0, 0.0, 0.0))
    return Lens("opencv", (k1, k2, *tangential)) if any(radial) or any(tangential) else PINHOLE


def farthest_radius(
    focal_px: tuple[float, float], centre_px: tuple[float, float], size_px: tuple[int, int]
) -> float:
    """The distance of the farthest corner from the principal point, in focal lengths.

    Args:
        focal_px: (fx, fy), not zero.
        centre_px: (cx, cy).
        size_px: (width, height).
    """
    sides = zip(focal_px, centre_px, size_px, strict=True)
    return math.hypot(*(max(abs(centre), abs(size - centre)) / abs(focal) for focal, centre, size in sides))


def require_negligible(name: str, value: float, shift_px: float, where: str) -> None:
    """Refuse an unsupported distortion term, unless its effect is negligible.

    Args:
        name: of the term.
        value: of its coefficient.
        shift_px: largest displacement that it causes.
        where: file and camera, for messages.

    Raises:
        CaptureError: the displacement is not negligible.
    """
    if not abs(shift_px) < _NEGLIGIBLE_PX:
        raise CaptureError(
            f"{where}: the lens term {name} = {value:.6g} is not supported; fix it to 0 and align again, "
            "or export undistorted images"
        )
