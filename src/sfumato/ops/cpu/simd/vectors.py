"""Vectors of three float64 as tuples, which stay in registers, unlike small arrays."""

import math

import numpy as np

from sfumato.ops.cpu.jit import scalar


@scalar
def dot(a, b):
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@scalar
def products(rows, a):
    """Scalar products of three vectors with ``a``."""
    return dot(rows[0], a), dot(rows[1], a), dot(rows[2], a)


@scalar
def scaled(a, factor):
    """``a`` times a number."""
    return a[0] * factor, a[1] * factor, a[2] * factor


@scalar
def mixed(a, b, c, weights):
    """weights[0] a + weights[1] b + weights[2] c."""
    x, y, z = weights
    return a[0] * x + b[0] * y + c[0] * z, a[1] * x + b[1] * y + c[1] * z, a[2] * x + b[2] * y + c[2] * z


@scalar
def times(a, b):
    """Elementwise product."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@scalar
def row(array, i):
    """Row i of [n, 3] as float64."""
    return np.float64(array[i, 0]), np.float64(array[i, 1]), np.float64(array[i, 2])


@scalar
def rotation(quats, i):
    """(columns of the rotation matrix, unit quaternion, 1 / length) of a quaternion."""
    w, x, y, z = (
        np.float64(quats[i, 0]),
        np.float64(quats[i, 1]),
        np.float64(quats[i, 2]),
        np.float64(quats[i, 3]),
    )
    inverse = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    columns = (
        (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)),
        (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)),
        (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)),
    )
    return columns, (w, x, y, z), inverse
