"""Alignment of the cameras to GPS positions: metres, north and up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sfumato.sfm import geodesy
from sfumato.sfm.upright import Gravity, Similarity, turned_down

FOUND_BY = "GPS"

# Least number of pictures and fraction of cameras with a GPS position, and fraction of these that must agree.
_LEAST, _KNOWN_SHARE, _AGREEING_SHARE = 6, 0.5, 0.6
# Largest RMS residual of the inliers, as a fraction of the spread of positions.
_OFF = 0.1
# GPS determines the up direction if its uncertainty is below this; else the pictures do.
_TILT_RAD = np.radians(2.0)
_SAMPLES = 500
# Positions with a residual above this many medians are outliers; so is 1 in 10,000 good ones.
_MISTAKE, _ROUNDS = 3.5, 10
_EXACT_M = 1e-3

Place = tuple[float, float, float | None]
"""Latitude and longitude in degrees, and the height in metres if it was recorded."""


@dataclass(frozen=True)
class Ground:
    """The georeference of a model.

    Attributes:
        similarity: from the model's world to metres with x east, y down and z north.
        gravity: [3] unit vector downwards in the model's world.
        gravity_by: description of the source of the gravity.
        origin: of the new world: latitude and longitude in degrees, and the height in metres or None.
        places: number of pictures with a GPS position.
        agreeing: number of inliers among these.
        off_m: root mean square residual of the inliers, in the directions that were fitted.
        spread_m: the largest distance between two of them.
    """

    similarity: Similarity
    gravity: np.ndarray
    gravity_by: str
    origin: Place
    places: int
    agreeing: int
    off_m: float
    spread_m: float

    def to_plain(self) -> dict[str, Any]:
        """Its part of ``sfm.json``."""
        latitude, longitude, height_m = self.origin
        return {
            "north": "+z",
            "origin": {"latitude": latitude, "longitude": longitude, "height_m": height_m},
            "gps": {
                "pictures": self.places,
                "agreeing": self.agreeing,
                "off_m": round(self.off_m, 3),
                "spread_m": round(self.spread_m, 3),
            },
        }

    def words(self) -> str:
        """Summary of the fit."""
        return (
            f"GPS of {self.agreeing} of {self.places} pictures agrees with their cameras to "
            f"{self.off_m:.1f} m over {self.spread_m:.0f} m"
        )


def aligned_to_gps(
    centres: np.ndarray, places: Sequence[Place | None], gravity: Gravity, *, seed: int
) -> Ground | None:
    """The similarity that aligns cameras with their GPS positions.

    Where the pictures give gravity, only horizontal positions are fitted, since GPS is least accurate in
    height; else all three directions are. The fit is robust to outliers.

    Args:
        centres: [n, 3] of the cameras.
        places: GPS position of each camera, or None.
        gravity: as estimated from the pictures.
        seed: of the random samples.

    Returns:
        None if too few pictures have a position, or the positions do not agree with the cameras.
    """
    known = [i for i, place in enumerate(places) if place is not None]
    if len(known) < max(_LEAST, _KNOWN_SHARE * len(centres)):
        return None
    with_gps = [place for place in places if place is not None]
    heights = np.array([np.nan if place[2] is None else place[2] for place in with_gps], float)
    degrees = np.array([place[:2] for place in with_gps])
    latitude, longitude = geodesy.middle_of(degrees)
    has_height = np.isfinite(heights)
    height = float(np.median(heights[has_height])) if has_height.any() else 0.0
    axes = geodesy.axes_at(latitude, longitude)
    start = geodesy.earth_from_geodetic(np.array([[latitude, longitude]]), np.array([height]))[0]
    local = (geodesy.earth_from_geodetic(degrees, np.where(has_height, heights, height)) - start) @ axes.T
    fits = [_level_fit, _whole_fit] if gravity.is_strong else [_whole_fit, _level_fit]
    for fit in fits:
        found = fit(centres[known], local, has_height, gravity, np.random.default_rng(seed))
        if found is not None:
            similarity, fitting, off_m = found
            return Ground(
                similarity,
                similarity.rotation.T @ [0.0, 1.0, 0.0],
                FOUND_BY if fit is _whole_fit else gravity.found_by,
                (latitude, longitude, height if has_height.any() else None),
                len(known),
                int(fitting.sum()),
                off_m,
                float(np.linalg.norm(np.ptp(local[fitting], axis=0))),
            )
    return None


def moved(ground: Ground, centre: np.ndarray) -> Ground:
    """The same with the origin at a point [3] of the model's world, and its geographic position."""
    similarity, (latitude, longitude, height) = ground.similarity, ground.origin
    step = similarity.scale * similarity.rotation @ centre + similarity.translation
    start = geodesy.earth_from_geodetic(np.array([[latitude, longitude]]), np.array([height or 0.0]))[0]
    position = geodesy.geodetic_from_earth(start + geodesy.axes_at(latitude, longitude).T @ step)
    return replace(
        ground,
        similarity=Similarity(similarity.scale, similarity.rotation, similarity.translation - step),
        origin=(*position[:2], None if height is None else position[2]),
    )


_Fit = tuple[Similarity, np.ndarray, float]


def _whole_fit(
    centres: np.ndarray, local: np.ndarray, has_height: np.ndarray, _: Gravity, rng: np.random.Generator
) -> _Fit | None:
    """The fit in all three directions to positions with heights, and the inliers among all positions."""
    if has_height.sum() < max(_LEAST, _KNOWN_SHARE * len(centres)):
        return None
    found = _robust(centres[has_height], local[has_height], rng)
    if found is None:
        return None
    (scale, rotation, translation), fitting, off_m = found
    used = local[has_height][fitting]
    second = np.linalg.svd(used - used.mean(axis=0), compute_uv=False)[1]
    # Collinear positions leave the rotation about their line undetermined.
    if not off_m < _TILT_RAD * second:
        return None
    agreeing = np.zeros(len(centres), bool)
    agreeing[np.flatnonzero(has_height)[fitting]] = True
    return Similarity(scale, rotation, translation), agreeing, off_m


def _level_fit(
    centres: np.ndarray,
    local: np.ndarray,
    has_height: np.ndarray,
    gravity: Gravity,
    rng: np.random.Generator,
) -> _Fit | None:
    """The fit of horizontal positions, with known gravity."""
    if gravity.direction is None:
        return None
    level = turned_down(gravity.direction, np.zeros(3))
    upright = centres @ level.T
    found = _robust(upright[:, [0, 2]], local[:, [0, 2]], rng)
    if found is None:
        return None
    (scale, turn, shift), fitting, off_m = found
    yaw = np.eye(3)
    yaw[np.ix_([0, 2], [0, 2])] = turn
    high = fitting & has_height
    drop = float(np.median(local[high, 1] - scale * upright[high, 1])) if high.any() else 0.0
    return Similarity(scale, yaw @ level, np.array([shift[0], drop, shift[1]])), fitting, off_m


def _robust(
    source: np.ndarray, target: np.ndarray, rng: np.random.Generator
) -> tuple[tuple[float, np.ndarray, np.ndarray], np.ndarray, float] | None:
    """The similarity that most positions [n, d] agree with, the inliers, and their residuals.

    Least median of squares over minimal samples (Rousseeuw 1984), then a fit to all inliers.
    """
    some = rng.random((_SAMPLES, len(source))).argsort(axis=1)[:, : source.shape[1]]
    scale, rotation, translation, is_valid = _similarities(source[some], target[some])
    medians = [
        float(np.median(_distances((scale[i], rotation[i], translation[i]), source, target)))
        for i in np.flatnonzero(is_valid)
    ]
    if not medians:
        return None
    i = np.flatnonzero(is_valid)[int(np.argmin(medians))]
    best = float(scale[i]), rotation[i], translation[i]
    fitting = np.ones(len(source), bool)
    for _ in range(_ROUNDS):
        distances = _distances(best, source, target)
        fitting = distances <= max(_MISTAKE * float(np.median(distances)), _EXACT_M)
        fit = similarity_of(source[fitting], target[fitting])
        if fit is None:
            return None
        best = fit
    off_m = float(np.sqrt((_distances(best, source, target)[fitting] ** 2).mean()))
    used = target[fitting]
    spread = float(np.sqrt(((used - used.mean(axis=0)) ** 2).sum(axis=1).mean()))
    enough = fitting.sum() >= max(_LEAST, _AGREEING_SHARE * len(source))
    return (best, fitting, off_m) if enough and off_m <= _OFF * spread and spread > 0.0 else None


def _distances(
    fit: tuple[float, np.ndarray, np.ndarray], source: np.ndarray, target: np.ndarray
) -> np.ndarray:
    scale, rotation, translation = fit
    return np.linalg.norm(scale * source @ rotation.T + translation - target, axis=1)


def similarity_of(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray] | None:
    """Least-squares scale, rotation [d, d] and translation [d] from points [n, d] to others.

    Returns:
        None if all points of one side coincide.
    """
    scale, rotation, translation, is_valid = _similarities(source[None], target[None])
    return (float(scale[0]), rotation[0], translation[0]) if is_valid[0] else None


def _similarities(
    source: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares similarities [s], [s, d, d], [s, d] of sets of points [s, n, d], and which of them exist.

    Source: Umeyama 1991, Least-squares estimation of transformation parameters between two point patterns.
    """
    middles = source.mean(axis=1), target.mean(axis=1)
    a, b = source - middles[0][:, None], target - middles[1][:, None]
    u, d, vt = np.linalg.svd(np.einsum("sni,snj->sij", b, a))
    d[:, -1] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))
    u[:, :, -1] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[:, None]
    size, reach = (a**2).sum(axis=(1, 2)), (b**2).sum(axis=(1, 2))
    strength = d.sum(axis=1)
    # Coinciding points differ by rounding: cameras relative to their coordinates, GPS by micrometres.
    is_valid = (size > 1e-18 * (source**2).sum(axis=(1, 2))) & (reach > 1e-12) & (strength > 0.0)
    scale, rotation = strength / np.where(is_valid, size, 1.0), u @ vt
    return (
        scale,
        rotation,
        middles[1] - scale[:, None] * np.einsum("sij,sj->si", rotation, middles[0]),
        is_valid,
    )
