"""Unprojection: the direction of a point on the image plane, for every lens."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from sfumato.scene.lenses import ON_ANGLES, ON_TANGENTS, Lens, check_lens, formula_of

# Tangents are searched up to a thousand (89.94 degrees), angles up to the direction straight behind.
_WIDEST_TANGENT, _WIDEST_ANGLE = 1e3, np.pi
_RINGS, _SPOKES = 1024, 64
_CHUNK = 1 << 15
_STEPS = 32
_START_WITHIN = 0.95
# Newton's method doubles the digits in each step: after a step this small none are left to gain.
_LAST_STEP = 1e-9
# Largest round-trip error of a solution, relative to 1 + the coordinates.
_MISMATCH = 1e-9
_IMAGINARY = 1e-30

_Pair: TypeAlias = tuple[np.ndarray, np.ndarray]
_Triple: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
_Formula: TypeAlias = Callable[[np.ndarray, np.ndarray], _Pair]


def undistort(lens: Lens, xy_distorted: np.ndarray) -> np.ndarray:
    """Directions of points on the image plane: the inverse of ``distort_directions``.

    Args:
        lens: any model.
        xy_distorted: [..., 2] distorted normalised coordinates, (pixels - centre) / focal.

    Returns:
        [..., 3] float64 unit directions in the camera frame; NaN where the lens has none. Those of "ortho"
        are all along z.

    Raises:
        ConfigError: the model is unknown or has another number of coefficients.

    Source: Newton's method on the formula of the lens, with exact derivatives by complex steps (Squire
        and Trapp 1998); closed forms for fov, division, eucm and equirectangular.
    """
    check_lens(lens)
    xy = np.asarray(xy_distorted, dtype=np.float64)
    flat = xy.reshape(-1, 2)
    directions = np.empty((len(flat), 3))
    with np.errstate(all="ignore"):
        for start in range(0, len(flat), _CHUNK):
            directions[start : start + _CHUNK] = _directions(lens, flat[start : start + _CHUNK])
    return directions.reshape(*xy.shape[:-1], 3)


def distort_directions(lens: Lens, directions: np.ndarray) -> np.ndarray:
    """Distort directions, including those behind the camera for lenses wide enough.

    Args:
        lens: any model but "ortho".
        directions: [..., 3] in the camera frame, any non-zero length.

    Returns:
        [..., 2] float64 distorted normalised coordinates: pixels are focal * result + centre. NaN where
        the model is undefined, and beyond the angle up to which it maps one to one.

    Raises:
        ConfigError: the lens is unknown or "ortho".
    """
    x, y, z = np.moveaxis(np.asarray(directions, dtype=np.float64), -1, 0)
    image = formula_of(lens, x, y, z)
    with np.errstate(all="ignore"):
        is_seen = np.arctan2(np.hypot(x, y), z) <= one_to_one_angle(lens)
    return np.where(is_seen[..., None], image, np.nan)


@lru_cache(maxsize=4096)
def one_to_one_angle(lens: Lens) -> float:
    """The angle to the optical axis up to which a lens maps one to one, radians.

    Beyond the field of view for which it was fitted a distortion polynomial folds back; the smallest such
    angle around the axis counts. Models with an exact inverse give NaN outside their domain: their angle
    is pi.
    """
    formula = _plane_formula(lens)
    if formula is None:
        return np.pi
    turns = np.linspace(0.0, 2.0 * np.pi, _SPOKES, endpoint=False)
    around = np.stack([np.cos(turns), np.sin(turns)])

    def is_unfolded(angles: np.ndarray) -> np.ndarray:
        u, v = np.asarray(_radius(lens, angles))[..., None] * around[:, None]
        _, (xu, xv), (yu, yv) = _with_derivatives(formula, u, v)
        return (xu * yv - xv * yu > 0.0).all(axis=-1)

    widest = np.arctan(_WIDEST_TANGENT) if lens.model in ON_TANGENTS else _WIDEST_ANGLE
    angles = np.linspace(0.0, widest, _RINGS + 1)
    with np.errstate(all="ignore"):
        folded = ~is_unfolded(angles)
        if not folded.any():
            return float(widest)
        first = int(np.argmax(folded))
        low, high = angles[max(first - 1, 0)], angles[first]
        for _ in range(50):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if is_unfolded(np.array([middle]))[0] else (low, middle)
    return float(low)


def _plane_formula(lens: Lens) -> _Formula | None:
    """The formula in the plane of tangents or angles as a function of (u, v); None without one."""
    formula = {**ON_TANGENTS, **ON_ANGLES}.get(lens.model)
    return None if formula is None else lambda u, v: formula(u, v, lens.coefficients)


def _solvable_formula(lens: Lens) -> _Formula:
    """The formula of a lens that has one."""
    formula = _plane_formula(lens)
    assert formula is not None, lens
    return formula


def _radius(lens: Lens, angles: np.ndarray) -> np.ndarray:
    """Radii, in the plane of the lens's formula, of angles to the optical axis."""
    return np.tan(angles) if lens.model in ON_TANGENTS else angles


def _with_derivatives(formula: _Formula, u: np.ndarray, v: np.ndarray) -> tuple[_Pair, _Pair, _Pair]:
    """((x, y), (dx/du, dx/dv), (dy/du, dy/dv)) of a formula."""
    step = 1j * _IMAGINARY
    (x, y), (x_v, y_v) = formula(u + step, v + 0j), formula(u + 0j, v + step)
    along_x, along_y = (
        (by_u.imag / _IMAGINARY, by_v.imag / _IMAGINARY) for by_u, by_v in ((x, x_v), (y, y_v))
    )
    return (x.real, y.real), along_x, along_y


def _directions(lens: Lens, xy: np.ndarray) -> np.ndarray:
    """[m, 3] unit directions of points [m, 2]."""
    x, y = xy.T
    if lens.model == "ortho":
        return np.where(np.isfinite(xy).all(axis=1)[:, None], [0.0, 0.0, 1.0], np.nan)
    if lens.model in _EXACT:
        found = _EXACT[lens.model](x, y, lens.coefficients)
    else:
        u, v = (x, y) if not any(lens.coefficients) else _solved(lens, x, y)
        found = (u, v, np.ones_like(u)) if lens.model in ON_TANGENTS else _of_angles(u, v)
    directions = np.stack(found, axis=-1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    off = np.abs(formula_of(lens, *directions.T) - xy).max(axis=1)
    directions[~(off <= _MISMATCH * (1.0 + np.abs(xy).max(axis=1)))] = np.nan
    return directions


def _of_angles(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions of vectors whose length is the angle to the optical axis."""
    angle = np.hypot(u, v)
    scale = np.sinc(angle / np.pi)
    return u * scale, v * scale, np.cos(angle)


def _solved(lens: Lens, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert the formula of a lens within the radius up to which it maps one to one."""
    radii, images, farthest = _radial_table(lens)
    radius = np.hypot(x, y)
    u, v = np.full_like(x, np.nan), np.full_like(x, np.nan)
    rows = np.flatnonzero(radius <= farthest)
    x, y, radius = x[rows], y[rows], radius[rows]
    # Start inside the border, where the derivatives vanish.
    start = np.minimum(np.interp(radius, images, radii), _START_WITHIN * radii[-1])
    scale = np.where(radius > 0.0, start / np.where(radius > 0.0, radius, 1.0), 1.0)
    u[rows], v[rows] = _newton(_solvable_formula(lens), x, y, (x * scale, y * scale), radii[-1])
    return u, v


def _newton(formula: _Formula, x: np.ndarray, y: np.ndarray, start: _Pair, limit: float) -> _Pair:
    """Solve formula(u, v) = (x, y) within the radius ``limit``; a step that increases the error is halved."""
    trial_u, trial_v = start
    u, v, step_u, step_v = trial_u, trial_v, np.zeros_like(x), np.zeros_like(x)
    least = np.full_like(x, np.inf)
    for _ in range(_STEPS):
        (fx, fy), (xu, xv), (yu, yv) = _with_derivatives(formula, trial_u, trial_v)
        off = np.hypot(fx - x, fy - y)
        better = off < least
        area = xu * yv - xv * yu
        u, v, least = np.where(better, trial_u, u), np.where(better, trial_v, v), np.minimum(off, least)
        step_u = np.where(better, (yv * (fx - x) - xv * (fy - y)) / area, 0.5 * step_u)
        step_v = np.where(better, (xu * (fy - y) - yu * (fx - x)) / area, 0.5 * step_v)
        trial_u, trial_v = u - step_u, v - step_v
        inside = 1.0 / np.maximum(np.hypot(trial_u, trial_v) / limit, 1.0)
        trial_u, trial_v = trial_u * inside, trial_v * inside
        if not (np.hypot(step_u, step_v) > _LAST_STEP * (1.0 + np.hypot(u, v))).any():
            break
    return trial_u, trial_v


@lru_cache(maxsize=64)
def _radial_table(lens: Lens) -> tuple[np.ndarray, np.ndarray, float]:
    """Radii in the plane of the formula, their mean radii in the image, and the largest image radius."""
    radii = _radius(lens, np.linspace(0.0, one_to_one_angle(lens), _RINGS + 1))
    turns = np.linspace(0.0, 2.0 * np.pi, _SPOKES, endpoint=False)
    formula = _solvable_formula(lens)
    images = np.hypot(*formula(radii[:, None] * np.cos(turns), radii[:, None] * np.sin(turns)))
    return radii, np.maximum.accumulate(images.mean(axis=1)), float(images[-1].max())


def _from_fov(x: np.ndarray, y: np.ndarray, c: tuple[float, ...]) -> _Triple:
    (omega,) = c
    if omega == 0.0:
        return x, y, np.ones_like(x)
    u, v, z = _of_angles(x * omega, y * omega)
    return u, v, z * (2.0 * np.tan(omega / 2.0))


def _from_division(x: np.ndarray, y: np.ndarray, c: tuple[float, ...]) -> _Triple:
    return x, y, 1.0 + c[0] * (x * x + y * y)


def _from_eucm(x: np.ndarray, y: np.ndarray, c: tuple[float, ...]) -> _Triple:
    alpha, beta = c
    r2 = x * x + y * y
    root = np.sqrt(1.0 - (2.0 * alpha - 1.0) * beta * r2)
    return x, y, (1.0 - beta * alpha**2 * r2) / (alpha * root + 1.0 - alpha)


def _from_equirectangular(x: np.ndarray, y: np.ndarray, _: tuple[float, ...]) -> _Triple:
    return np.sin(x) * np.cos(y), np.sin(y), np.cos(x) * np.cos(y)


_EXACT = {
    "fov": _from_fov,
    "division": _from_division,
    "eucm": _from_eucm,
    "equirectangular": _from_equirectangular,
}
