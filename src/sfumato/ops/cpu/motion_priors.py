"""Rigidity, rotation and isometry priors of neighbours, and the gradient.

The neighbours of a Gaussian are gathered into rows of a small buffer, then processed several at a time. Each
part of the Gaussians has its own sums of the gradients to neighbours, which are then added in order, so the
result is bit-identical for any number of threads.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.jit import kernel, lane_function, lane_kernel
from sfumato.ops.cpu.quaternions import product, quat_gradient, rotation, through_unit, unit
from sfumato.ops.cpu.simd import lanes as ln

LANES = 8
# Number of parts that the Gaussians are divided into.
PARTS = 8
# A state: mean, previous mean, rotation since the previous step. Rows of the buffer: differences of neighbour
# and Gaussian in both means, the neighbour's rotation, its weight, its rest distance.
_STATE, _WEIGHT, _REST, _ROWS = 10, 10, 11, 12
# Gradients to a neighbour: to its mean and its rotation.
_SUMS = 7
_TOLERANCE = np.float32(constants.MOTION_TOLERANCE)
_TOLERANCE2 = np.float32(constants.MOTION_TOLERANCE**2)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
# Avoids division by zero for coincident Gaussians.
_TINY = np.float32(1e-30)


@kernel
def states_of(means, quats, previous_means, previous_quats, neighbours, rest, states, distances):
    """Fill the state [n, 10] of each Gaussian, and the sum and count [n, 2] of its rest distances."""
    for i in prange(means.shape[0]):
        _, w, x, y, z = unit(quats, i)
        _, a, b, c, d = unit(previous_quats, i)
        turn = product((w, x, y, z), (a, -b, -c, -d))
        for m in range(3):
            states[i, m], states[i, 3 + m] = means[i, m], previous_means[i, m]
        for m in range(4):
            states[i, 6 + m] = turn[m]
        total, count = 0.0, 0.0
        for slot in range(neighbours.shape[1]):
            if neighbours[i, slot] >= 0:
                total += rest[i, slot]
                count += 1.0
        distances[i, 0], distances[i, 1] = total, count


@lane_function
def _gather(i, states, neighbours, weights, rest, scale, edges, width):
    """Fill the buffer with the neighbours of Gaussian ``i``, lengths times ``scale``; padding stays zero."""
    for slot in range(neighbours.shape[1]):
        j = neighbours[i, slot]
        is_edge = j >= 0
        j = j if is_edge else i
        for m in range(6):
            edges[m * width + slot] = (states[j, m] - states[i, m]) * scale
        for m in range(6, _STATE):
            edges[m * width + slot] = states[j, m]
        edges[_WEIGHT * width + slot] = weights[i, slot] if is_edge else _ZERO
        edges[_REST * width + slot] = rest[i, slot] * scale if is_edge else _ZERO


@lane_function
def _row(edges, row, width, at):
    return ln.load(LANES, edges, row * width + at)


class Residuals(NamedTuple):
    """Residuals of some neighbours of a Gaussian, in lanes.

    Attributes:
        offset, length: their positions relative to the Gaussian, and distances.
        rigid, turned, stretch: residuals of rigidity (3), rotation (4) and isometry.
        sign: sign of the quaternion of the Gaussian's rotation for the comparison.
    """

    offset: Any
    length: Any
    rigid: Any
    turned: Any
    stretch: Any
    sign: Any


@lane_function
def _residuals(edges, width, at, turn, r0, r1, r2):
    """Residuals of the neighbours from ``at`` on."""
    x, y, z = _row(edges, 0, width, at), _row(edges, 1, width, at), _row(edges, 2, width, at)
    rigid = (
        x * r0[0] + y * r1[0] + z * r2[0] - _row(edges, 3, width, at),
        x * r0[1] + y * r1[1] + z * r2[1] - _row(edges, 4, width, at),
        x * r0[2] + y * r1[2] + z * r2[2] - _row(edges, 5, width, at),
    )
    a, b = _row(edges, 6, width, at), _row(edges, 7, width, at)
    c, d = _row(edges, 8, width, at), _row(edges, 9, width, at)
    # q and -q are the same rotation.
    same = a * turn[0] + b * turn[1] + c * turn[2] + d * turn[3]
    sign = ln.select(same < _ZERO, -_ONE, ln.spread(LANES, _ONE))
    turned = a - sign * turn[0], b - sign * turn[1], c - sign * turn[2], d - sign * turn[3]
    length = ln.square_root(x * x + y * y + z * z)
    return Residuals((x, y, z), length, rigid, turned, length - _row(edges, _REST, width, at), sign)


@lane_function
def _squares(residuals):
    rigid, turned = residuals.rigid, residuals.turned
    return (
        rigid[0] * rigid[0] + rigid[1] * rigid[1] + rigid[2] * rigid[2],
        turned[0] * turned[0] + turned[1] * turned[1] + turned[2] * turned[2] + turned[3] * turned[3],
    )


@lane_function
def _charbonnier(squared):
    return squared / (ln.square_root(squared + _TOLERANCE2) + _TOLERANCE)


@lane_kernel
def priors_forward(states, neighbours, weights, rest, scale, values):
    """Fill the sums [n, 3] of the priors over the neighbours of each Gaussian."""
    n, k = neighbours.shape
    width = (k + LANES - 1) // LANES * LANES
    for part in prange(PARTS):
        edges = np.zeros(_ROWS * width, np.float32)
        for i in range(part * n // PARTS, (part + 1) * n // PARTS):
            _gather(i, states, neighbours, weights, rest, scale, edges, width)
            turn = states[i, 6], states[i, 7], states[i, 8], states[i, 9]
            r0, r1, r2 = rotation(turn[0], turn[1], turn[2], turn[3])
            rigidity = rotations = isometry = ln.spread(LANES, _ZERO)
            for at in range(0, width, LANES):
                found = _residuals(edges, width, at, turn, r0, r1, r2)
                first, second = _squares(found)
                weight = _row(edges, _WEIGHT, width, at)
                rigidity = rigidity + weight * _charbonnier(first)
                rotations = rotations + weight * _charbonnier(second)
                isometry = isometry + weight * _charbonnier(found.stretch * found.stretch)
            values[i, 0], values[i, 1] = ln.total(rigidity), ln.total(rotations)
            values[i, 2] = ln.total(isometry)


@lane_function
def _edge_gradients(edges, width, at, turn, r0, r1, r2, factors, own):
    """Overwrite the first seven rows of the buffer with the gradients to the neighbours.

    Returns ``own``, the sums for the Gaussian itself, incremented: the part of the rotation prior in the
    gradient to its rotation (4 lanes), and the gradient to its rotation matrix, row by row (9 lanes).
    """
    found = _residuals(edges, width, at, turn, r0, r1, r2)
    offset, rigid, turned, stretch = found.offset, found.rigid, found.turned, found.stretch
    first, second = _squares(found)
    weight = _row(edges, _WEIGHT, width, at)
    slope = weight * factors[0] / ln.square_root(first + _TOLERANCE2)
    x, y, z = rigid[0] * slope, rigid[1] * slope, rigid[2] * slope
    slope = weight * factors[2] / ln.square_root(stretch * stretch + _TOLERANCE2)
    slope = slope * stretch / (found.length + _TINY)
    ln.store(edges, at, r0[0] * x + r0[1] * y + r0[2] * z + offset[0] * slope)
    ln.store(edges, width + at, r1[0] * x + r1[1] * y + r1[2] * z + offset[1] * slope)
    ln.store(edges, 2 * width + at, r2[0] * x + r2[1] * y + r2[2] * z + offset[2] * slope)
    slope = weight * factors[1] / ln.square_root(second + _TOLERANCE2)
    a, b, c, d = turned[0] * slope, turned[1] * slope, turned[2] * slope, turned[3] * slope
    ln.store(edges, 3 * width + at, a)
    ln.store(edges, 4 * width + at, b)
    ln.store(edges, 5 * width + at, c)
    ln.store(edges, 6 * width + at, d)
    sign = found.sign
    o0, o1, o2, o3, a0, b0, c0, a1, b1, c1, a2, b2, c2 = own
    return (
        o0 - sign * a, o1 - sign * b, o2 - sign * c, o3 - sign * d,
        a0 + offset[0] * x, b0 + offset[0] * y, c0 + offset[0] * z,
        a1 + offset[1] * x, b1 + offset[1] * y, c1 + offset[1] * z,
        a2 + offset[2] * x, b2 + offset[2] * y, c2 + offset[2] * z,
    )  # fmt: skip


@lane_kernel
def priors_backward(states, neighbours, weights, rest, scale, factors, sums):
    """Add the gradients of each part of the Gaussians to the means (times ``scale``) and rotations of all.

    Args:
        states: [n, 10] of ``states_of``.
        neighbours, weights, rest: [n, k] int32, float32, float32.
        scale: 1 / unit of length.
        factors: three floats, the gradients to the priors divided by n.
        sums: [PARTS, n, 7] zeros, written.
    """
    n, k = neighbours.shape
    width = (k + LANES - 1) // LANES * LANES
    for part in prange(PARTS):
        edges = np.zeros(_ROWS * width, np.float32)
        for i in range(part * n // PARTS, (part + 1) * n // PARTS):
            _gather(i, states, neighbours, weights, rest, scale, edges, width)
            turn = states[i, 6], states[i, 7], states[i, 8], states[i, 9]
            r0, r1, r2 = rotation(turn[0], turn[1], turn[2], turn[3])
            zero = ln.spread(LANES, _ZERO)
            own = (zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero)
            for at in range(0, width, LANES):
                own = _edge_gradients(edges, width, at, turn, r0, r1, r2, factors, own)
            o0, o1, o2, o3, a0, b0, c0, a1, b1, c1, a2, b2, c2 = own
            grad = quat_gradient(
                turn,
                (ln.total(a0), ln.total(a1), ln.total(a2)),
                (ln.total(b0), ln.total(b1), ln.total(b2)),
                (ln.total(c0), ln.total(c1), ln.total(c2)),
            )
            sums[part, i, 3] += grad[0] + ln.total(o0)
            sums[part, i, 4] += grad[1] + ln.total(o1)
            sums[part, i, 5] += grad[2] + ln.total(o2)
            sums[part, i, 6] += grad[3] + ln.total(o3)
            for slot in range(k):
                j = neighbours[i, slot]
                if j >= 0:
                    for m in range(3):
                        sums[part, i, m] -= edges[m * width + slot]
                    for m in range(_SUMS):
                        sums[part, j, m] += edges[m * width + slot]


@kernel
def add_parts(sums, quats, previous_quats, scale, grad_means, grad_quats):
    """Fill the gradients [n, 3] and [n, 4] from the sums of all parts."""
    for i in prange(sums.shape[1]):
        total = np.zeros(_SUMS, np.float32)
        for part in range(PARTS):
            for m in range(_SUMS):
                total[m] += sums[part, i, m]
        for m in range(3):
            grad_means[i, m] = total[m] * scale
        inverse, w, x, y, z = unit(quats, i)
        _, a, b, c, d = unit(previous_quats, i)
        # The rotation is q conj(p), so the gradient to q is that to the rotation times p.
        grad = product((total[3], total[4], total[5], total[6]), (a, b, c, d))
        for m, value in enumerate(through_unit(grad, (w, x, y, z), inverse)):
            grad_quats[i, m] = value


def _prepared(means, quats, previous_means, previous_quats, neighbours, rest):
    """States, and 1 / mean rest distance."""
    n = len(means)
    states, distances = np.empty((n, _STATE), np.float32), np.empty((n, 2))
    states_of(means, quats, previous_means, previous_quats, neighbours, rest, states, distances)
    total, count = distances.sum(axis=0)
    return states, np.float32(count / total if total > 0 else 1.0)


def forward(means, quats, previous_means, previous_quats, neighbours, weights, rest_distances):
    """See sfumato.ops.motion_priors."""
    tensors = means, quats, previous_means, previous_quats, neighbours, weights, rest_distances
    *poses, edges, w, rest = map(as_array, tensors)
    states, scale = _prepared(*poses, edges, rest)
    values = np.empty((len(states), 3), np.float32)
    priors_forward(states, edges, w, rest, scale, values)
    return means.new_tensor(values.sum(axis=0, dtype=np.float64) / max(len(values), 1))


def backward(grad, means, quats, previous_means, previous_quats, neighbours, weights, rest_distances):
    """Gradients to the means and the quaternions."""
    tensors = means, quats, previous_means, previous_quats, neighbours, weights, rest_distances
    *poses, edges, w, rest = map(as_array, tensors)
    states, scale = _prepared(*poses, edges, rest)
    n = len(states)
    sums = np.zeros((PARTS, n, _SUMS), np.float32)
    factors = tuple(as_array(grad) / np.float32(max(n, 1)))
    priors_backward(states, edges, w, rest, scale, factors, sums)
    grad_means, grad_quats = np.empty((n, 3), np.float32), np.empty((n, 4), np.float32)
    add_parts(sums, poses[1], poses[3], scale, grad_means, grad_quats)
    return tuple(as_tensors([grad_means, grad_quats]))
