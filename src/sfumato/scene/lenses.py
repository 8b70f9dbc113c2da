"""Lens models: maps from directions in the camera frame to the image plane.

Models have the names, in lower case, and the coefficient order of COLMAP's camera models, without the
focal lengths and the principal point, which belong to the camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfumato.errors import ConfigError


@dataclass(frozen=True)
class Lens:
    """A named lens model and its coefficients (none for the ideal ones).

    Attributes:
        model: "pinhole", "fisheye" (equidistant, ideal) or another of ``LENS_COEFFICIENTS``; or one of
            ``WITHOUT_PLANE``: "ortho", parallel rays, whose focal lengths are pixels per scene unit; or
            "equirectangular", the whole sphere, where u = fx * longitude + cx and v = fy * latitude +
            cy, so that fx = width / (2 pi), fy = height / pi and the principal point is the image's centre.
            Longitude grows from the optical axis to the right, latitude down.
        coefficients: distortion coefficients in the order of the model.
    """

    model: str = "pinhole"
    coefficients: tuple[float, ...] = ()

    @property
    def is_pinhole(self) -> bool:
        """Whether straight lines stay straight: a pinhole, or a model whose distortion is zero."""
        return self.model == "pinhole" or (self.model in _IDENTITY_AT_ZERO and not any(self.coefficients))

    @property
    def is_panorama(self) -> bool:
        """Whether it covers the whole sphere, which no image plane can."""
        return self.model == "equirectangular"


PINHOLE = Lens()

LENS_COEFFICIENTS: dict[str, tuple[str, ...]] = {
    "pinhole": (),
    "fisheye": (),
    "simple_radial": ("k",),
    "radial": ("k1", "k2"),
    "opencv": ("k1", "k2", "p1", "p2"),
    "full_opencv": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "fov": ("omega",),
    "division": ("k",),
    "eucm": ("alpha", "beta"),
    "simple_radial_fisheye": ("k",),
    "radial_fisheye": ("k1", "k2"),
    "opencv_fisheye": ("k1", "k2", "k3", "k4"),
    "thin_prism_fisheye": ("k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1"),
    "rad_tan_thin_prism_fisheye": ("k0", "k1", "k2", "k3", "k4", "k5", "p0", "p1", "s0", "s1", "s2", "s3"),
}
WITHOUT_PLANE = ("ortho", "equirectangular")
"""Lenses without a formula on the image plane of a pinhole; they have no coefficients."""

_IDENTITY_AT_ZERO = frozenset({"simple_radial", "radial", "opencv", "full_opencv", "fov", "division"})


def check_lens(lens: Lens) -> None:
    """Refuse a lens of unknown model or with another number of coefficients than its model takes.

    Raises:
        ConfigError: naming the lens.
    """
    wanted = () if lens.model in WITHOUT_PLANE else LENS_COEFFICIENTS.get(lens.model)
    if wanted is None:
        known = ", ".join((*LENS_COEFFICIENTS, *WITHOUT_PLANE))
        raise ConfigError(f"{lens} is not a known lens: give one of {known}")
    if len(wanted) != len(lens.coefficients):
        raise ConfigError(f"{lens} is not a known lens: {lens.model} takes the coefficients {wanted}")
    if not np.isfinite(lens.coefficients).all():
        raise ConfigError(f"{lens} holds NaN or infinity; calibrate again")


def distort(lens: Lens, xy: np.ndarray) -> np.ndarray:
    """Distort directions of the half space in front of the camera.

    Args:
        lens: one of ``LENS_COEFFICIENTS``.
        xy: [..., 2] float64 ideal normalised coordinates (x / z, y / z).

    Returns:
        [..., 2] distorted normalised coordinates: pixels are focal * result + centre. NaN where the
        model is undefined.

    Raises:
        ConfigError: the model is unknown or has another number of coefficients.

    Source: the camera models of COLMAP; Kannala and Brandt 2006 (fisheye), Devernay and Faugeras 2001
        (fov), Fitzgibbon 2001 (division), Khomutenko et al. 2016 (eucm).
    """
    xy = np.asarray(xy, dtype=np.float64)
    return formula_of(lens, xy[..., 0], xy[..., 1], 1.0)


def formula_of(lens: Lens, x: np.ndarray, y: np.ndarray, z: np.ndarray | float) -> np.ndarray:
    """Evaluate the formula of a lens, also where it is not one to one.

    Args:
        lens: any but "ortho".
        x: [...] directions in the camera frame, of any length.
        y: [...] the same.
        z: [...] or a number, the same.

    Returns:
        [..., 2] distorted normalised coordinates; NaN where the model is undefined.

    Raises:
        ConfigError: the lens is unknown, or "ortho", all of whose rays are parallel.
    """
    check_lens(lens)
    if lens.model == "ortho":
        raise ConfigError("an ortho lens sees parallel rays: a direction says nothing about the place")
    with np.errstate(all="ignore"):
        if lens.model in ON_TANGENTS:
            ahead = np.where(np.asarray(z) > 0.0, z, np.nan)
            return np.stack(ON_TANGENTS[lens.model](x / ahead, y / ahead, lens.coefficients), axis=-1)
        if lens.model in ON_ANGLES:
            return np.stack(ON_ANGLES[lens.model](*_angles(x, y, z), lens.coefficients), axis=-1)
        return np.stack(_ON_SPHERE[lens.model](x, y, z, lens.coefficients), axis=-1)


def unfolded_radius(lens: Lens, limit: float) -> float:
    """The ideal radius up to which a lens maps one to one.

    Beyond the field of view for which it was fitted a distortion polynomial folds back, and would show the
    centre of the image a second time around its border.

    Args:
        lens: the lens model.
        limit: largest radius that is tested, in ideal normalised coordinates.

    Returns:
        The radius, at most ``limit``.
    """
    angles = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    radii = np.linspace(0.0, limit, 129)[1:]
    xy = radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    right, down = np.array([[1e-5, 0.0], [0.0, 1e-5]]) * limit
    along_x = distort(lens, xy + right) - distort(lens, xy - right)
    along_y = distort(lens, xy + down) - distort(lens, xy - down)
    area = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    folded = ~(area > 0.0).all(axis=1)
    first = int(np.argmax(folded)) if folded.any() else len(radii)
    return float(limit if first == len(radii) else radii[first - 1] if first else 0.0)


_Plane = np.ndarray
_Formula = Callable[[_Plane, _Plane, tuple[float, ...]], tuple[_Plane, _Plane]]
_SphereFormula = Callable[[_Plane, _Plane, _Plane | float, tuple[float, ...]], tuple[_Plane, _Plane]]


def _angles(x: _Plane, y: _Plane, z: _Plane | float) -> tuple[_Plane, _Plane]:
    """Directions as vectors in the image plane whose length is the angle to the optical axis."""
    r = np.hypot(x, y)
    near_axis = (r <= 1e-9 * np.abs(z)) & (np.asarray(z) > 0.0)
    scale = np.where(near_axis, 1.0 / np.where(near_axis, z, 1.0), np.arctan2(r, z) / r)
    return x * scale, y * scale


def _polynomial(t: _Plane, coefficients: tuple[float, ...]) -> _Plane:
    """1 + c0 t + c1 t^2 + ..."""
    total = np.zeros_like(t)
    for coefficient in reversed(coefficients):
        total = (total + coefficient) * t
    return 1.0 + total


def _tangential(x: _Plane, y: _Plane, p1: float, p2: float) -> tuple[_Plane, _Plane]:
    r2 = x * x + y * y
    return 2 * p1 * x * y + p2 * (r2 + 2 * x * x), 2 * p2 * x * y + p1 * (r2 + 2 * y * y)


def _identity(x: _Plane, y: _Plane, _: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    return x, y


def _radial(x: _Plane, y: _Plane, k: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    scale = _polynomial(x * x + y * y, k)
    return x * scale, y * scale


def _full_opencv(x: _Plane, y: _Plane, c: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    k1, k2, p1, p2, k3, k4, k5, k6 = (*c, 0.0, 0.0, 0.0, 0.0)[:8]
    r2 = x * x + y * y
    scale = _polynomial(r2, (k1, k2, k3)) / _polynomial(r2, (k4, k5, k6))
    dx, dy = _tangential(x, y, p1, p2)
    return x * scale + dx, y * scale + dy


def _thin_prism(x: _Plane, y: _Plane, c: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    k1, k2, p1, p2, k3, k4, sx1, sy1 = c
    r2 = x * x + y * y
    scale = _polynomial(r2, (k1, k2, k3, k4))
    dx, dy = _tangential(x, y, p1, p2)
    return x * scale + dx + sx1 * r2, y * scale + dy + sy1 * r2


def _rad_tan_thin_prism(x: _Plane, y: _Plane, c: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    x, y = _radial(x, y, c[:6])
    p0, p1, s0, s1, s2, s3 = c[6:]
    r2 = x * x + y * y
    dx, dy = _tangential(x, y, p1, p0)
    return x + dx + s0 * r2 + s1 * r2 * r2, y + dy + s2 * r2 + s3 * r2 * r2


def _fov(x: _Plane, y: _Plane, z: _Plane | float, c: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    (omega,) = c
    if omega == 0.0:
        ahead = np.where(np.asarray(z) > 0.0, z, np.nan)
        return x / ahead, y / ahead
    tangent = 2.0 * np.tan(omega / 2.0)
    x, y = _angles(x * tangent, y * tangent, z)
    return x / omega, y / omega


def _division(x: _Plane, y: _Plane, z: _Plane | float, c: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    scale = 2.0 / (z + np.sqrt(z * z - 4.0 * c[0] * (x * x + y * y)))
    return x * scale, y * scale


def _eucm(x: _Plane, y: _Plane, z: _Plane | float, c: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    alpha, beta = c
    distance = np.sqrt(beta * (x * x + y * y) + z * z)
    # Beyond this cone two directions have the same image point.
    widest = min(alpha, 1.0 - alpha) / max(alpha, 1.0 - alpha)
    scale = np.where(z > -widest * distance, 1.0 / (alpha * distance + (1.0 - alpha) * z), np.nan)
    return x * scale, y * scale


def _equirectangular(x: _Plane, y: _Plane, z: _Plane | float, _: tuple[float, ...]) -> tuple[_Plane, _Plane]:
    return np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))


# Formulas of the tangents (x / z, y / z), and of vectors whose length is the angle to the optical axis. All
# are analytic, for differentiation by complex steps.
ON_TANGENTS: dict[str, _Formula] = {
    "pinhole": _identity,
    "simple_radial": _radial,
    "radial": _radial,
    "opencv": _full_opencv,
    "full_opencv": _full_opencv,
}
ON_ANGLES: dict[str, _Formula] = {
    "fisheye": _identity,
    "simple_radial_fisheye": _radial,
    "radial_fisheye": _radial,
    "opencv_fisheye": _radial,
    "thin_prism_fisheye": _thin_prism,
    "rad_tan_thin_prism_fisheye": _rad_tan_thin_prism,
}
_ON_SPHERE: dict[str, _SphereFormula] = {
    "fov": _fov,
    "division": _division,
    "eucm": _eucm,
    "equirectangular": _equirectangular,
}
