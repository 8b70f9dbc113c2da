"""How coarsely a dataset stores the positions of its cameras, and whether they differ by more than that."""

from __future__ import annotations

import numpy as np

from sfumato.maths.rigid import centres_of

# Bounds for poses that were inverted and multiplied, relative to the distance from the origin. Measured for
# random rotations: 24 eps in float64 and 1.5 eps in float32.
_DOUBLE, _SINGLE = 64 * float(np.finfo(np.float64).eps), 2 * float(np.finfo(np.float32).eps)
# Positions near the origin, where a relative bound says nothing.
_LEAST = 1e-12
# Decimals count as rounding in positions of at least this many steps; smaller ones may be exact, as on grids.
# A step is this many times float64's rounding, so that none fits by chance.
_DECIMALS, _DIGITS, _CLEAR = range(10), 1e5, 100.0


def place_rounding(poses: np.ndarray) -> float:
    """Upper bound of the error of a camera's position from the rounding of the numbers in the file.

    Which rounding it was is seen from the numbers: all positions, or all translations, are float32 numbers;
    or all have few decimals; or neither, and they are float64.

    Args:
        poses: [n, 4, 4] float64 camera_from_world.

    Returns:
        A length in scene units.
    """
    return max(_rounding(centres_of(poses)), _rounding(poses[:, :3, 3]))


def stand_in_one_place(poses: np.ndarray) -> bool:
    """Whether all cameras have the same position up to rounding, as on a tripod.

    Args:
        poses: [n, 4, 4] float64 camera_from_world.
    """
    centres = centres_of(poses)
    return bool(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max() <= place_rounding(poses))


def _rounding(values: np.ndarray) -> float:
    """Bound of the rounding of vectors [n, 3]."""
    size = float(np.linalg.norm(values, axis=1).max())
    exact = max(_LEAST, _DOUBLE * size)
    if (np.abs(values - values.astype(np.float32)) <= exact).all():
        return max(_LEAST, _SINGLE * size)
    steps = [(decimals, 10.0**-decimals) for decimals in _DECIMALS]
    for decimals, step in steps:
        is_possible = _CLEAR * exact < step <= size / _DIGITS
        if is_possible and (np.abs(values - values.round(decimals)) <= exact).all():
            return step
    return exact
