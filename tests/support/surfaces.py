"""Clouds of known surfaces, for tests."""

import numpy as np

from sfumato.splatting.measured import MeasuredCloud


def sphere(count, radius=1.0, centre=(0.0, 0.0, 0.0)):
    """Evenly distributed points on a sphere, along a spiral."""
    at = np.arange(count) + 0.5
    z, turn = 1 - 2 * at / count, np.pi * (1 + 5**0.5) * at
    across = np.sqrt(1 - z * z)
    unit = np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
    return radius * unit + np.array(centre)


def plane(side, spacing=1.0):
    """A square of side x side points in z = 0."""
    x, y = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    return spacing * np.stack([x.ravel(), y.ravel(), np.zeros(side * side)], axis=1)


def grey(xyz, value=128.0):
    """A cloud of one colour."""
    return MeasuredCloud(xyz, np.full((len(xyz), 3), value, np.float32), colour_range=255.0)
