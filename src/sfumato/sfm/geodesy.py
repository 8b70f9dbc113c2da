"""Conversion of geographic coordinates to local metres."""

from __future__ import annotations

import numpy as np

# Semi-major axis in metres and flattening of the ellipsoid of GPS (WGS 84).
_RADIUS_M, _FLATTENING = 6_378_137.0, 1.0 / 298.257223563
_SQUARED_ECCENTRICITY = _FLATTENING * (2.0 - _FLATTENING)


def earth_from_geodetic(degrees: np.ndarray, height_m: np.ndarray) -> np.ndarray:
    """[n, 3] metres from the centre of the earth (ECEF).

    Args:
        degrees: [n, 2] latitude and longitude.
        height_m: [n] above the ellipsoid.
    """
    latitude, longitude = np.radians(degrees).T
    across = _RADIUS_M / np.sqrt(1.0 - _SQUARED_ECCENTRICITY * np.sin(latitude) ** 2)
    flat = (across + height_m) * np.cos(latitude)
    z = ((1.0 - _SQUARED_ECCENTRICITY) * across + height_m) * np.sin(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), z], axis=1)


def geodetic_from_earth(xyz: np.ndarray) -> tuple[float, float, float]:
    """Latitude and longitude in degrees and the height in metres of a point [3]."""
    flat = float(np.hypot(xyz[0], xyz[1]))
    latitude = float(np.arctan2(xyz[2], (1.0 - _SQUARED_ECCENTRICITY) * flat))
    # Each iteration gains at least two digits; near the ground five leave less than a millimetre.
    for _ in range(5):
        across = _RADIUS_M / np.sqrt(1.0 - _SQUARED_ECCENTRICITY * np.sin(latitude) ** 2)
        latitude = float(np.arctan2(xyz[2] + _SQUARED_ECCENTRICITY * across * np.sin(latitude), flat))
    sine, cosine = np.sin(latitude), np.cos(latitude)
    height = flat * cosine + xyz[2] * sine - _RADIUS_M * np.sqrt(1.0 - _SQUARED_ECCENTRICITY * sine**2)
    return float(np.degrees(latitude)), float(np.degrees(np.arctan2(xyz[1], xyz[0]))), float(height)


def axes_at(latitude: float, longitude: float) -> np.ndarray:
    """[3, 3] east, down and north at a position in degrees, as rows: the axes of an upright world frame."""
    (sp, cp), (sl, cl) = ((np.sin(a), np.cos(a)) for a in np.radians([latitude, longitude]))
    east, up, north = (-sl, cl, 0.0), (cp * cl, cp * sl, sp), (-sp * cl, -sp * sl, cp)
    return np.array([east, np.negative(up), north])


def middle_of(degrees: np.ndarray) -> tuple[float, float]:
    """Median latitude and longitude of positions [n, 2], also across the antimeridian."""
    from_first = (degrees[:, 1] - degrees[0, 1] + 180.0) % 360.0 - 180.0
    longitude = (degrees[0, 1] + float(np.median(from_first)) + 180.0) % 360.0 - 180.0
    return float(np.median(degrees[:, 0])), float(longitude)
