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


@scalar
def _rotation(quats, i, r):
    """Fill ``r`` [3, 3] with the rotation of a quaternion; the inverse of its length."""
    w, x, y, z = (
        np.float64(quats[i, 0]),
        np.float64(quats[i, 1]),
        np.float64(quats[i, 2]),
        np.float64(quats[i, 3]),
    )
    inverse = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    r[0, 0], r[0, 1], r[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    r[1, 0], r[1, 1], r[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    r[2, 0], r[2, 1], r[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    return inverse


@scalar
def _frame(means, quats, scales, i, eye, r, q, rows):
    """Fill the rotation ``r``, the ball's turn ``q`` and ``rows`` = q S^-1 r^T; w."""
    _rotation(quats, i, r)
    m0, m1, m2 = (
        means[i, 0] - np.float64(eye[0]),
        means[i, 1] - np.float64(eye[1]),
        means[i, 2] - np.float64(eye[2]),
    )
    f0, f1, f2 = 1.0 / scales[i, 0], 1.0 / scales[i, 1], 1.0 / scales[i, 2]
    q[2, 0] = (r[0, 0] * m0 + r[1, 0] * m1 + r[2, 0] * m2) * f0
    q[2, 1] = (r[0, 1] * m0 + r[1, 1] * m1 + r[2, 1] * m2) * f1
    q[2, 2] = (r[0, 2] * m0 + r[1, 2] * m1 + r[2, 2] * m2) * f2
    w = math.sqrt(q[2, 0] ** 2 + q[2, 1] ** 2 + q[2, 2] ** 2)
    for j in range(3):
        q[2, j] = q[2, j] / w if w > 0.0 else (1.0 if j == 2 else 0.0)
    # Two axes across the third (Duff et al. 2017), then turned to where X . Y = 0.
    sign = math.copysign(1.0, q[2, 2])
    a = -1.0 / (sign + q[2, 2])
    b = q[2, 0] * q[2, 1] * a
    q[0, 0], q[0, 1], q[0, 2] = 1.0 + sign * q[2, 0] * q[2, 0] * a, sign * b, -sign * q[2, 0]
    q[1, 0], q[1, 1], q[1, 2] = b, sign + q[2, 1] * q[2, 1] * a, -q[2, 1]
    # Rows of q S^-1 have the same dot products as those of q S^-1 r^T.
    x0, x1, x2 = q[0, 0] * f0, q[0, 1] * f1, q[0, 2] * f2
    y0, y1, y2 = q[1, 0] * f0, q[1, 1] * f1, q[1, 2] * f2
    xx, xy, yy = x0 * x0 + x1 * x1 + x2 * x2, x0 * y0 + x1 * y1 + x2 * y2, y0 * y0 + y1 * y1 + y2 * y2
    # Jacobi's rotation: the tangent of the angle that makes xy vanish.
    half = 0.5 * (yy - xx)
    tangent = xy / (half + math.copysign(math.sqrt(half * half + xy * xy), half)) if xy != 0.0 else 0.0
    c = 1.0 / math.sqrt(1.0 + tangent * tangent)
    s = -tangent * c
    for j in range(3):
        q[0, j], q[1, j] = c * q[0, j] + s * q[1, j], c * q[1, j] - s * q[0, j]
    for k in range(3):
        x, y, z = q[k, 0] * f0, q[k, 1] * f1, q[k, 2] * f2
        for j in range(3):
            rows[k, j] = x * r[j, 0] + y * r[j, 1] + z * r[j, 2]
    return w


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
def _in_view(means, scales, i, eye, radius, reach, view):
    """Whether a ray may come within ``radius`` standard deviations of a Gaussian."""
    m0, m1, m2 = means[i, 0] - eye[0], means[i, 1] - eye[1], means[i, 2] - eye[2]
    length = math.sqrt(m0 * m0 + m1 * m1 + m2 * m2)
    size = radius * max(scales[i, 0], scales[i, 1], scales[i, 2]) + reach
    if size >= length:
        return True
    # Half the angle of the cone around the ball, added to that of the cone of rays.
    sine = size / length
    cosine = math.sqrt(1.0 - sine * sine)
    if view[3] <= -cosine:
        return True
    least = view[3] * cosine - math.sqrt(1.0 - view[3] * view[3]) * sine
    return view[0] * m0 + view[1] * m1 + view[2] * m2 >= (least - _SLACK) * length


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
        r, q, rows = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, n)):
            distances[i] = np.inf
            if not _sound(means, quats, scales, opacities, i):
                continue
            radius2 = 2.0 * math.log(opacities[i] / constants.ALPHA_MIN)
            if not _in_view(means, scales, i, eye, math.sqrt(radius2), reach, view):
                continue
            w = _frame(means, quats, scales, i, eye, r, q, rows)
            for k in range(3):
                for j in range(3):
                    records[i, 3 * k + j] = rows[k, j]
            for j in range(3):
                fine[i, j], fine[i, 3 + j] = rows[0, j], rows[1, j]
            records[i, W] = w
            records[i, LOG2_OPACITY] = math.log2(opacities[i])
            # Along the mean's direction the hull reaches r sqrt(m Sigma m), and no hit is nearer.
            m0, m1, m2 = means[i, 0] - eye[0], means[i, 1] - eye[1], means[i, 2] - eye[2]
            length = math.sqrt(m0 * m0 + m1 * m1 + m2 * m2)
            spread = 0.0
            for j in range(3):
                along = (r[0, j] * m0 + r[1, j] * m1 + r[2, j] * m2) / length if length > 0 else 1.0
                spread += (along * scales[i, j]) ** 2
            distances[i] = length
            bound = length - reach - math.sqrt(radius2 * spread)
            records[i, NEAREST] = bound - _SLACK * (length + reach)
            size = math.sqrt(radius2) * max(scales[i, 0], scales[i, 1], scales[i, 2]) + reach
            records[i, FARTHEST] = (1.0 + _SLACK) * (length + size)
            for k in range(d):
                records[i, CHANNELS + k] = colours[i, k]
    return records, fine, distances


def sums_layout(d: int, absolute: bool) -> tuple[np.ndarray, int]:
    """(column of each of the 10 + d (+ 1) sums, row length) of trace_backward's output."""
    count = MOMENTS + d + absolute
    return np.array([bundles.totals_position(i, count) for i in range(count)]), -(-count // 8) * 8


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
    flat = sums.ravel()
    for chunk in prange((order.size + _CHUNK - 1) // _CHUNK):
        r, q, half, local = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
        added, found = np.empty(row, np.float32), np.empty(columns.size)
        for rank in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, order.size)):
            i = order[rank]
            added[:] = np.float32(0.0)
            for slot in range(starts[rank], starts[rank + 1]):
                pair = slot_pair[slot]
                ln.prefetch(flat, slot_pair[min(slot + _AHEAD, slot_pair.size - 1)] * row)
                if pair >= 0:
                    for k in range(0, row, 8):
                        ln.store(added, k, ln.load(8, added, k) + ln.load(8, flat, np.intp(pair) * row + k))
            if starts[rank] == starts[rank + 1]:
                continue
            for k in range(columns.size):
                found[k] = added[columns[k]]
            inverse = _rotation(quats, i, r)
            s0, s1, s2 = np.float64(scales[i, 0]), np.float64(scales[i, 1]), np.float64(scales[i, 2])
            for k in range(3):
                x = fine[i, 3 * k] if k < 2 else np.float64(records[i, Z])
                y = fine[i, 3 * k + 1] if k < 2 else np.float64(records[i, Z + 1])
                z = fine[i, 3 * k + 2] if k < 2 else np.float64(records[i, Z + 2])
                # The ball's turn, q = rows R S.
                q[k, 0] = (x * r[0, 0] + y * r[1, 0] + z * r[2, 0]) * s0
                q[k, 1] = (x * r[0, 1] + y * r[1, 1] + z * r[2, 1]) * s1
                q[k, 2] = (x * r[0, 2] + y * r[1, 2] + z * r[2, 2]) * s2
            for j in range(3):
                grad_means[i, j] = (
                    fine[i, j] * found[0] + fine[i, 3 + j] * found[1] + records[i, Z + j] * found[2]
                )
                half[0, j] = found[4] * q[0, j] + found[5] * q[1, j] + found[6] * q[2, j]
                half[1, j] = found[5] * q[0, j] + found[7] * q[1, j] + found[8] * q[2, j]
                half[2, j] = found[6] * q[0, j] + found[8] * q[1, j] + found[9] * q[2, j]
            for j in range(3):
                for k in range(3):
                    local[j, k] = -(q[0, j] * half[0, k] + q[1, j] * half[1, k] + q[2, j] * half[2, k])
            grad_scales[i, 0], grad_scales[i, 1] = -local[0, 0] / s0, -local[1, 1] / s1
            grad_scales[i, 2] = -local[2, 2] / s2
            # Small turns about the local axes, R (I + [turn]), then the quaternions that they are.
            tx = 2.0 * inverse * local[1, 2] * (s2 / s1 - s1 / s2)
            ty = 2.0 * inverse * local[0, 2] * (s0 / s2 - s2 / s0)
            tz = 2.0 * inverse * local[0, 1] * (s1 / s0 - s0 / s1)
            w, x, y, z = (
                quats[i, 0] * inverse,
                quats[i, 1] * inverse,
                quats[i, 2] * inverse,
                quats[i, 3] * inverse,
            )
            grad_quats[i, 0] = -x * tx - y * ty - z * tz
            grad_quats[i, 1] = w * tx - z * ty + y * tz
            grad_quats[i, 2] = z * tx + w * ty - x * tz
            grad_quats[i, 3] = -y * tx + x * ty + w * tz
            grad_opacities[i] = found[3] / opacities[i]
            for k in range(d):
                grad_colours[i, k] = found[MOMENTS + k]
            if columns.size > MOMENTS + d:
                steepness[i] = found[MOMENTS + d]
    return grad_means, grad_quats, grad_scales, grad_opacities, grad_colours, steepness
