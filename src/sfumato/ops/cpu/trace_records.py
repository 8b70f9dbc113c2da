"""What tracing reads of a Gaussian seen from one point, and how its sums become gradients.

In the frame where a Gaussian is a unit ball, turned so that the eye lies on its third axis, the eye
is at (0, 0, -w) and a direction d becomes u = (X . d, Y . d, Z . d). Then, with s = ux^2 + uy^2,

    2 sigma = w^2 s / (s + uz^2)        tau = w uz / (s + uz^2)

X and Y vanish on the mean's direction, so that nothing here is the difference of large numbers but
X . d and Y . d themselves: these are taken in float64 once for the middle of a block of pixels, and
the rest of the way in float32 (see trace_hits).
"""

import math

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu import bundles
from sfumato.ops.cpu import lanes as ln
from sfumato.ops.cpu.jit import kernel, lane_kernel, scalar

# Columns of a record: rows X, Y and Z; w; log2 of the opacity; bounds of tau; the channels.
X, Y, Z, W, LOG2_OPACITY, NEAREST, FARTHEST, CHANNELS = 0, 3, 6, 9, 10, 11, 12, constants.TRACE_RECORD
# Columns of the float64 companion: X, Y.
FINE = constants.TRACE_FINE

# Sums of a (Gaussian, tile) pair: -dL/do_g (3), alpha dL/dalpha, then the symmetric matrix -N as
# (xx, xy, xz, yy, yz, zz).
MOMENTS = 10

_CHUNK = 128
# Rows of sums that are asked for this many slots before they are read.
_AHEAD = 8
# The bounds of tau give way by this share, so that rounding never puts a hit beyond them.
_SLACK = 1e-5
_TWICE_LN2, _LOG2_ALPHA_MIN = 2.0 * math.log(2.0), math.log2(constants.ALPHA_MIN)


@scalar
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@scalar
def _mixed(a, b, c, weights):
    """weights[0] a + weights[1] b + weights[2] c."""
    x, y, z = weights
    return a[0] * x + b[0] * y + c[0] * z, a[1] * x + b[1] * y + c[1] * z, a[2] * x + b[2] * y + c[2] * z


@scalar
def _times(a, b):
    """Entry by entry."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@scalar
def _row(array, i):
    return np.float64(array[i, 0]), np.float64(array[i, 1]), np.float64(array[i, 2])


@scalar
def _rotation(quats, i):
    """(Columns of the rotation of a quaternion, the unit quaternion, the inverse of its length)."""
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


@scalar
def _frame(columns, finenesses, mean):
    """(X, Y, Z, w) of a Gaussian.

    Args:
        columns: of its rotation.
        finenesses: 1 / scales.
        mean: less the eye.
    """
    third = _times((_dot(columns[0], mean), _dot(columns[1], mean), _dot(columns[2], mean)), finenesses)
    w = math.sqrt(_dot(third, third))
    inverse = 1.0 / w if w > 0.0 else 0.0
    n0, n1, n2 = third[0] * inverse, third[1] * inverse, third[2] * inverse if w > 0.0 else 1.0
    # Two axes across the third (Duff et al. 2017), then turned to where X . Y = 0.
    sign = math.copysign(1.0, n2)
    a = -1.0 / (sign + n2)
    b = n0 * n1 * a
    x = _times((1.0 + sign * n0 * n0 * a, sign * b, -sign * n0), finenesses)
    y = _times((b, sign + n1 * n1 * a, -n1), finenesses)
    # Rows of q S^-1 have the same dot products as those of q S^-1 R^T.
    xy = _dot(x, y)
    # Jacobi's rotation: the tangent of the angle that makes X . Y vanish.
    half = 0.5 * (_dot(y, y) - _dot(x, x))
    tangent = xy / (half + math.copysign(math.sqrt(half * half + xy * xy), half)) if xy != 0.0 else 0.0
    c = 1.0 / math.sqrt(1.0 + tangent * tangent)
    s = -tangent * c
    turned_x = (c * x[0] + s * y[0], c * x[1] + s * y[1], c * x[2] + s * y[2])
    turned_y = (c * y[0] - s * x[0], c * y[1] - s * x[1], c * y[2] - s * x[2])
    z = _times((n0, n1, n2), finenesses)
    return _mixed(*columns, turned_x), _mixed(*columns, turned_y), _mixed(*columns, z), w


@scalar
def _sound(means, quats, scales, opacities, i):
    """Whether a Gaussian can be seen at all; NaN fails every test."""
    turned, good = False, opacities[i] > np.float32(constants.ALPHA_MIN) and math.isfinite(opacities[i])
    for j in range(3):
        good = good and scales[i, j] > 0 and math.isfinite(scales[i, j]) and math.isfinite(means[i, j])
    for j in range(4):
        good = good and math.isfinite(quats[i, j])
        turned = turned or quats[i, j] != 0
    return good and turned


@scalar
def _in_view(mean, length, size, view):
    """Whether a ray of the cone ``view`` may come within ``size`` of a mean, seen from the eye."""
    if size >= length:
        return True
    # Half the angle of the cone around the ball, added to that of the cone of rays.
    sine = size / length
    cosine = math.sqrt(1.0 - sine * sine)
    if view[3] <= -cosine:
        return True
    least = view[3] * cosine - math.sqrt(1.0 - view[3] * view[3]) * sine
    return _dot(view, mean) >= (least - _SLACK) * length


@kernel
def trace_records(means, quats, scales, opacities, colours, eye, reach, view):
    """Records of all Gaussians.

    Args:
        means, quats, scales, opacities, colours: [n, 3], [n, 4], [n, 3], [n], [n, d] float32.
        eye: [3] where the rays begin, or the middle of where they begin.
        reach: how far from the eye a ray may begin.
        view: from ray_blocks.

    Returns:
        records [n, 13 + d] float32, fine [n, 6] float64 and the means' distances [n] float32, infinite for
        those that cannot be seen, which have no record.
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
            scale = _row(scales, i)
            mean = (
                means[i, 0] - np.float64(eye[0]),
                means[i, 1] - np.float64(eye[1]),
                means[i, 2] - np.float64(eye[2]),
            )
            length = math.sqrt(_dot(mean, mean))
            log2_opacity = math.log2(np.float64(opacities[i]))
            radius = math.sqrt(_TWICE_LN2 * (log2_opacity - _LOG2_ALPHA_MIN))
            size = radius * max(scale) + reach
            if not _in_view(mean, length, size, view):
                continue
            columns, _, _ = _rotation(quats, i)
            x, y, z, w = _frame(columns, (1.0 / scale[0], 1.0 / scale[1], 1.0 / scale[2]), mean)
            for j in range(3):
                fine[i, j], fine[i, 3 + j] = x[j], y[j]
                records[i, X + j], records[i, Y + j], records[i, Z + j] = x[j], y[j], z[j]
            records[i, W] = w
            records[i, LOG2_OPACITY] = log2_opacity
            # Along the mean's direction the hull reaches r sqrt(m Sigma m), and no hit is nearer.
            along = _times((_dot(columns[0], mean), _dot(columns[1], mean), _dot(columns[2], mean)), scale)
            spread = math.sqrt(_dot(along, along)) / length if length > 0.0 else max(scale)
            distances[i] = length
            records[i, NEAREST] = length - reach - radius * spread - _SLACK * (length + reach)
            records[i, FARTHEST] = (1.0 + _SLACK) * (length + size)
            for k in range(d):
                records[i, CHANNELS + k] = colours[i, k]
    return records, fine, distances


def sums_layout(d: int, absolute: bool) -> tuple[np.ndarray, int]:
    """(column of each of the 10 + d (+ 1) sums, row length) of trace_backward's output."""
    count = MOMENTS + d + absolute
    return np.array([bundles.totals_position(i, count) for i in range(count)]), -(-count // 8) * 8


@scalar
def _of_shape(rotation, scale, rows, found):
    """Gradients to a quaternion and to the scales.

    Args:
        rotation: from _rotation.
        scale: the scales.
        rows: X, Y and Z.
        found: sums; -N from the fifth on.
    """
    columns, (w, x, y, z), inverse = rotation
    # Columns of the ball's turn, q = rows R S.
    a, b, c = (
        (
            _dot(rows[0], columns[0]) * scale[0],
            _dot(rows[1], columns[0]) * scale[0],
            _dot(rows[2], columns[0]) * scale[0],
        ),
        (
            _dot(rows[0], columns[1]) * scale[1],
            _dot(rows[1], columns[1]) * scale[1],
            _dot(rows[2], columns[1]) * scale[1],
        ),
        (
            _dot(rows[0], columns[2]) * scale[2],
            _dot(rows[1], columns[2]) * scale[2],
            _dot(rows[2], columns[2]) * scale[2],
        ),
    )
    n0, n1, n2 = (
        (found[4], found[5], found[6]),
        (found[5], found[7], found[8]),
        (found[6], found[8], found[9]),
    )
    na, nb, nc = (
        (_dot(n0, a), _dot(n1, a), _dot(n2, a)),
        (_dot(n0, b), _dot(n1, b), _dot(n2, b)),
        (_dot(n0, c), _dot(n1, c), _dot(n2, c)),
    )
    stretches = _dot(a, na) / scale[0], _dot(b, nb) / scale[1], _dot(c, nc) / scale[2]
    # Small turns about the local axes, R (I + [turn]), then the quaternions that they are.
    tx = -2.0 * inverse * _dot(b, nc) * (scale[2] / scale[1] - scale[1] / scale[2])
    ty = -2.0 * inverse * _dot(a, nc) * (scale[0] / scale[2] - scale[2] / scale[0])
    tz = -2.0 * inverse * _dot(a, nb) * (scale[1] / scale[0] - scale[0] / scale[1])
    turns = (
        -x * tx - y * ty - z * tz,
        w * tx - z * ty + y * tz,
        z * tx + w * ty - x * tz,
        -y * tx + x * ty + w * tz,
    )
    return turns, stretches


@lane_kernel
def trace_gradients(order, starts, slot_pair, sums, columns, records, fine, quats, scales, opacities, d):
    """Add the pair sums of each Gaussian up in slot order and turn them into gradients.

    Args:
        order, starts, slot_pair: from bin_rays.
        sums, columns: [p, row] and [10 + d (+ 1)] from trace_backward and sums_layout.
        records, fine: from trace_records.
        quats, scales, opacities: as in trace_records.
        d: number of channels.

    Returns:
        Gradients to means [n, 3], quats [n, 4], scales [n, 3], opacities [n], colours [n, d], and
        the sum of |dL/dmean| over rays [n]; zeros where unseen.

    Source: Deybach 2025, eq. 25 to 40, for y = o_g + tau d_g in the frame of the unit ball: there
        dL/do_g = sum of g y, and N = sum of g y y^T holds all that scale and rotation need.
    """
    n, row = opacities.size, sums.shape[1]
    grad_means, grad_quats = np.zeros((n, 3), np.float32), np.zeros((n, 4), np.float32)
    grad_scales, grad_opacities = np.zeros((n, 3), np.float32), np.zeros(n, np.float32)
    grad_colours, steepness = np.zeros((n, d), np.float32), np.zeros(n, np.float32)
    flat, flat_records, flat_fine, stride = sums.ravel(), records.ravel(), fine.ravel(), records.shape[1]
    flat_quats, flat_scales = quats.ravel(), scales.ravel()
    for chunk in prange((order.size + _CHUNK - 1) // _CHUNK):
        added, found = np.empty(row, np.float32), np.empty(columns.size)
        for rank in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, order.size)):
            # They lie in the order of the scene, these are in the order of depth.
            later = np.intp(order[min(rank + _AHEAD, order.size - 1)])
            ln.prefetch(flat_fine, later * FINE)
            ln.prefetch(flat_records, later * stride + Z)
            ln.prefetch(flat_quats, later * 4)
            ln.prefetch(flat_scales, later * 3)
            if starts[rank] == starts[rank + 1]:
                continue
            added[:] = np.float32(0.0)
            for slot in range(starts[rank], starts[rank + 1]):
                pair = slot_pair[slot]
                ln.prefetch(flat, slot_pair[min(slot + _AHEAD, slot_pair.size - 1)] * row)
                if pair >= 0:
                    for k in range(0, row, 8):
                        ln.store(added, k, ln.load(8, added, k) + ln.load(8, flat, np.intp(pair) * row + k))
            for k in range(columns.size):
                found[k] = added[columns[k]]
            i = order[rank]
            x, y = (fine[i, 0], fine[i, 1], fine[i, 2]), (fine[i, 3], fine[i, 4], fine[i, 5])
            z = np.float64(records[i, Z]), np.float64(records[i, Z + 1]), np.float64(records[i, Z + 2])
            mean = _mixed(x, y, z, (found[0], found[1], found[2]))
            turns, stretches = _of_shape(_rotation(quats, i), _row(scales, i), (x, y, z), found)
            for j in range(3):
                grad_means[i, j] = mean[j]
                grad_scales[i, j] = stretches[j]
            for j in range(4):
                grad_quats[i, j] = turns[j]
            grad_opacities[i] = found[3] / opacities[i]
            for k in range(d):
                grad_colours[i, k] = found[MOMENTS + k]
            if columns.size > MOMENTS + d:
                steepness[i] = found[MOMENTS + d]
    return grad_means, grad_quats, grad_scales, grad_opacities, grad_colours, steepness
