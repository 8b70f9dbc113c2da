"""Quaternions and rotations as tuples of scalars, and their gradients."""

import numpy as np

from sfumato.ops.cpu.jit import scalar

_ONE, _TWO = np.float32(1.0), np.float32(2.0)


@scalar
def unit(quats, i):
    """(1 / length, w, x, y, z): a normalised quaternion, and the inverse of its length."""
    w, x, y, z = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    inverse = _ONE / np.sqrt(w * w + x * x + y * y + z * z)
    return inverse, w * inverse, x * inverse, y * inverse, z * inverse


@scalar
def through_unit(grad, quat, inverse):
    """Gradient through the normalisation, (I - q q^T) grad / length; ``quat`` is the unit quaternion."""
    w, x, y, z = quat
    along = grad[0] * w + grad[1] * x + grad[2] * y + grad[3] * z
    return (
        (grad[0] - along * w) * inverse,
        (grad[1] - along * x) * inverse,
        (grad[2] - along * y) * inverse,
        (grad[3] - along * z) * inverse,
    )


@scalar
def product(first, second):
    """Product of quaternions: the rotation ``second`` followed by ``first``."""
    w, x, y, z = first
    a, b, c, d = second
    return (
        w * a - x * b - y * c - z * d,
        w * b + x * a + y * d - z * c,
        w * c - x * d + y * a + z * b,
        w * d + x * c - y * b + z * a,
    )


@scalar
def rotation(w, x, y, z):
    """Rows of the rotation matrix of a unit quaternion."""
    return (
        (_ONE - _TWO * (y * y + z * z), _TWO * (x * y - w * z), _TWO * (x * z + w * y)),
        (_TWO * (x * y + w * z), _ONE - _TWO * (x * x + z * z), _TWO * (y * z - w * x)),
        (_TWO * (x * z - w * y), _TWO * (y * z + w * x), _ONE - _TWO * (x * x + y * y)),
    )


@scalar
def quat_gradient(quat, a, b, c):
    """Gradient to a unit quaternion from that to the columns a, b and c of its rotation matrix."""
    w, x, y, z = quat
    return (
        _TWO * (x * (b[2] - c[1]) + y * (c[0] - a[2]) + z * (a[1] - b[0])),
        _TWO * (y * (b[0] + a[1]) + z * (c[0] + a[2]) - _TWO * x * (b[1] + c[2]) + w * (b[2] - c[1])),
        _TWO * (x * (b[0] + a[1]) + z * (c[1] + b[2]) - _TWO * y * (a[0] + c[2]) + w * (c[0] - a[2])),
        _TWO * (x * (c[0] + a[2]) + y * (c[1] + b[2]) - _TWO * z * (a[0] + b[1]) + w * (a[1] - b[0])),
    )
