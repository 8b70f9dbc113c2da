"""Records of Gaussians for tracing from one viewpoint.

In the frame where a Gaussian is the unit ball, rotated so that the eye is on its third axis, the eye
is at (0, 0, -w) and a direction d becomes u = (X . d, Y . d, Z . d). Then, with s = ux^2 + uy^2,

    2 sigma = w^2 s / (s + uz^2)        tau = w uz / (s + uz^2)
X and Y are orthogonal to the direction of the mean, so that only X . d and Y . d suffer from cancellation:
they are computed in float64 once for the middle of a block of pixels, and in float32 for the offset from it
(see response).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.jit import kernel, scalar
from sfumato.ops.cpu.simd.vectors import dot, mixed, products, rotation, row, times

# Columns of a record: rows X, Y and Z; w; log2 of the opacity; bounds of tau; the channels.
X, Y, Z, W, LOG2_OPACITY, NEAREST, FARTHEST, CHANNELS = 0, 3, 6, 9, 10, 11, 12, 13
# Columns of the float64 companion: X, Y.
FINE = 6

_CHUNK = 128
# Relative margin of the bounds of tau, larger than the rounding errors of a hit.
_SLACK = 1e-5
_TWICE_LN2, _LOG2_ALPHA_MIN = 2.0 * math.log(2.0), math.log2(constants.ALPHA_MIN)


class Records(NamedTuple):
    """Records of Gaussians.

    Attributes:
        rough: [n, 13 + d] float32.
        fine: [n, 6] float64, X and Y again.
    """

    rough: np.ndarray
    fine: np.ndarray


@scalar
def _frame(columns, finenesses, mean):
    """(X, Y, Z, w) of a Gaussian.

    Args:
        columns: columns of its rotation matrix.
        finenesses: 1 / scales.
        mean: its mean minus the eye.
    """
    third = times(products(columns, mean), finenesses)
    w = math.sqrt(dot(third, third))
    inverse = 1.0 / w if w > 0.0 else 0.0
    n0, n1, n2 = third[0] * inverse, third[1] * inverse, third[2] * inverse if w > 0.0 else 1.0
    # Two axes orthogonal to the third (Duff et al. 2017), then rotated such that X . Y = 0.
    sign = math.copysign(1.0, n2)
    a = -1.0 / (sign + n2)
    b = n0 * n1 * a
    x = times((1.0 + sign * n0 * n0 * a, sign * b, -sign * n0), finenesses)
    y = times((b, sign + n1 * n1 * a, -n1), finenesses)
    # Rows of q S^-1 have the same dot products as those of q S^-1 R^T.
    xy = dot(x, y)
    # Jacobi rotation: tangent of the angle for which X . Y = 0.
    half = 0.5 * (dot(y, y) - dot(x, x))
    tangent = xy / (half + math.copysign(math.sqrt(half * half + xy * xy), half)) if xy != 0.0 else 0.0
    c = 1.0 / math.sqrt(1.0 + tangent * tangent)
    s = -tangent * c
    turned_x = (c * x[0] + s * y[0], c * x[1] + s * y[1], c * x[2] + s * y[2])
    turned_y = (c * y[0] - s * x[0], c * y[1] - s * x[1], c * y[2] - s * x[2])
    z = times((n0, n1, n2), finenesses)
    return mixed(*columns, turned_x), mixed(*columns, turned_y), mixed(*columns, z), w


@scalar
def _sound(means, quats, scales, opacities, i):
    """Whether a Gaussian is valid and can be visible; NaN fails every test."""
    has_rotation, good = False, opacities[i] > np.float32(constants.ALPHA_MIN) and math.isfinite(opacities[i])
    for j in range(3):
        good = good and scales[i, j] > 0 and math.isfinite(scales[i, j]) and math.isfinite(means[i, j])
    for j in range(4):
        good = good and math.isfinite(quats[i, j])
        has_rotation = has_rotation or quats[i, j] != 0
    return good and has_rotation


@scalar
def _in_view(mean, length, size, view):
    """Whether a ray of the cone ``view`` may pass a mean (relative to the eye) within ``size``."""
    if size >= length:
        return True
    # Half the opening angle of the cone around the ball is added to that of the cone of rays.
    sine = size / length
    cosine = math.sqrt(1.0 - sine * sine)
    if view[3] <= -cosine:
        return True
    least = view[3] * cosine - math.sqrt(1.0 - view[3] * view[3]) * sine
    return dot(view, mean) >= (least - _SLACK) * length


@kernel
def trace_records(means, quats, scales, opacities, colours, eye, reach, view):
    """Records of all Gaussians.

    Args:
        means, quats, scales, opacities, colours: [n, 3], [n, 4], [n, 3], [n], [n, d] float32.
        eye: [3] origin of the rays, or the middle of their origins.
        reach: largest distance of an origin from the eye.
        view: from ray_blocks.

    Returns:
        Records, and the distances [n] float32 of the means: infinite for invisible Gaussians, whose records
        are zero.
    """
    n, d = colours.shape
    records = np.zeros((n, CHANNELS + d), np.float32)
    fine = np.zeros((n, FINE), np.float64)
    distances = np.empty(n, np.float32)
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, n)):
            distances[i] = np.inf
            if not _sound(means, quats, scales, opacities, i):
                continue
            scale = row(scales, i)
            mean = (
                means[i, 0] - np.float64(eye[0]),
                means[i, 1] - np.float64(eye[1]),
                means[i, 2] - np.float64(eye[2]),
            )
            length = math.sqrt(dot(mean, mean))
            log2_opacity = math.log2(np.float64(opacities[i]))
            radius = math.sqrt(_TWICE_LN2 * (log2_opacity - _LOG2_ALPHA_MIN))
            size = radius * max(scale) + reach
            if not _in_view(mean, length, size, view):
                continue
            columns, _, _ = rotation(quats, i)
            x, y, z, w = _frame(columns, (1.0 / scale[0], 1.0 / scale[1], 1.0 / scale[2]), mean)
            for j in range(3):
                fine[i, j], fine[i, 3 + j] = x[j], y[j]
                records[i, X + j], records[i, Y + j], records[i, Z + j] = x[j], y[j], z[j]
            records[i, W] = w
            records[i, LOG2_OPACITY] = log2_opacity
            # Along the mean's direction m the hull extends to r sqrt(m Sigma m), which bounds the nearest
            # hit.
            along = times(products(columns, mean), scale)
            spread = math.sqrt(dot(along, along)) / length if length > 0.0 else max(scale)
            distances[i] = length
            records[i, NEAREST] = length - reach - radius * spread - _SLACK * (length + reach)
            records[i, FARTHEST] = (1.0 + _SLACK) * (length + size)
            for k in range(d):
                records[i, CHANNELS + k] = colours[i, k]
    return Records(records, fine), distances
