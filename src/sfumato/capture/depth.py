"""The typical distance from the cameras to the scene, by which training scales lengths."""

from __future__ import annotations

import numpy as np

# Sample sizes of the medians.
_MOST_CAMERAS, _MOST_POINTS = 64, 20_000


def median_depth(poses: np.ndarray, xyz: np.ndarray) -> float:
    """Median over cameras of the median distance to the points in front of them.

    In front means within 45 degrees of the optical axis in x and in y, whatever the lens. If no camera has
    such points, it is the median distance to all points.

    Args:
        poses: [c, 4, 4] camera_from_world.
        xyz: [n, 3] points, world frame.

    Returns:
        A positive length, scene units; 1 if all points coincide with the cameras.
    """
    xyz = xyz[:: max(1, len(xyz) // _MOST_POINTS)].astype(np.float64)
    medians, anywhere = [], []
    for pose in poses[:: max(1, len(poses) // _MOST_CAMERAS)]:
        x, y, z = pose[:3, :3] @ xyz.T + pose[:3, 3:]
        distances = np.sqrt(x * x + y * y + z * z)
        ahead = (z > 0) & (np.abs(x) <= z) & (np.abs(y) <= z)
        anywhere.append(np.median(distances))
        if ahead.any():
            medians.append(np.median(distances[ahead]))
    return float(np.median(medians or anywhere)) or 1.0
