"""The second half of the gradient of free rays: hit records are summed per Gaussian.

In the frame in which a Gaussian is the unit ball, W = S^-1 R^T, d_g = W d, y = W (o + tau d - mu), with
g = dL/dsigma and h = dL/dtau / |d_g|^2: dL/dmu = -W^T sum v, v = g y - h d_g, and
N = sum g y y^T - h (d_g y^T + y d_g^T) yields the gradients to the axes: dL/dlog s_j = -N_jj, and a rotation
R (I + [w]x) gives -<N, S^-1 [w]x S>.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops.cpu.free_trace.shade import colour_scratch, shade_backward
from sfumato.ops.cpu.free_trace.tree import OPACITY
from sfumato.ops.cpu.free_trace.walk import ray_of, response
from sfumato.ops.cpu.jit import kernel, scalar, scalar_with_arrays, serial_kernel

# Runs of Gaussians are assigned to this many tasks in turn, so that those hit by many rays spread over
# threads.
_TASKS, _RUN = 64, 16
# Sums per Gaussian: v; N as (xx, xy, xz, yy, yz, zz); gradient to log alpha; the mean's gradient through its
# colour.
_V, _N, _LOG_ALPHA, _DIRECTION, _SUMS = 0, 3, 9, 10, 13


class Shapes(NamedTuple):
    """Quaternions [n, 4] and scales [n, 3] of Gaussians."""

    quats: np.ndarray
    scales: np.ndarray


class FreeGradients(NamedTuple):
    """Gradients to means [n, 3], quats [n, 4], scales [n, 3], opacities [n], features [n, k, d], float32."""

    means: np.ndarray
    quats: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    features: np.ndarray


class RecordsBySlot(NamedTuple):
    """Records sorted by slot.

    Attributes:
        starts: [slots + 1] int64 start of the records of each slot in ``order``.
        order: int32 record indices, sorted stably by slot.
    """

    starts: np.ndarray
    order: np.ndarray


@serial_kernel
def sorted_by_slot(slots, num_slots):
    """RecordsBySlot of records with slots ``slots``."""
    starts = np.zeros(num_slots + 1, np.int64)
    for record in range(slots.size):
        starts[slots[record] + 1] += 1
    for slot in range(num_slots):
        starts[slot + 1] += starts[slot]
    place, order = starts[:-1].copy(), np.empty(slots.size, np.int32)
    for record in range(slots.size):
        order[place[slots[record]]] = record
        place[slots[record]] += 1
    return RecordsBySlot(starts, order)


@scalar
def _add_response(row, ray, to_log_alpha, to_tau, sums):
    """Add one hit to v, N and the gradient to log alpha."""
    found = response(row, ray)
    y, d = found.y, found.direction
    g, h = -to_log_alpha, to_tau / found.length2
    sums[0] += g * y[0] - h * d[0]
    sums[1] += g * y[1] - h * d[1]
    sums[2] += g * y[2] - h * d[2]
    sums[3] += g * y[0] * y[0] - 2.0 * h * d[0] * y[0]
    sums[4] += g * y[0] * y[1] - h * (d[0] * y[1] + y[0] * d[1])
    sums[5] += g * y[0] * y[2] - h * (d[0] * y[2] + y[0] * d[2])
    sums[6] += g * y[1] * y[1] - 2.0 * h * d[1] * y[1]
    sums[7] += g * y[1] * y[2] - h * (d[1] * y[2] + y[1] * d[2])
    sums[8] += g * y[2] * y[2] - 2.0 * h * d[2] * y[2]
    sums[_LOG_ALPHA] += to_log_alpha


@scalar
def _add_geometry(row, shapes, i, sums, gradients):
    """Turn a Gaussian's sums into gradients and add them to ``gradients``."""
    quats, scales = shapes.quats, shapes.scales
    grad_means, grad_quats, grad_scales = gradients.means, gradients.quats, gradients.scales
    for k in range(3):
        through_geometry = row[3 + k] * sums[0] + row[6 + k] * sums[1] + row[9 + k] * sums[2]
        grad_means[i, k] += sums[_DIRECTION + k] - through_geometry
    s0, s1, s2 = np.float64(scales[i, 0]), np.float64(scales[i, 1]), np.float64(scales[i, 2])
    grad_scales[i, 0] -= sums[_N] / s0
    grad_scales[i, 1] -= sums[_N + 3] / s1
    grad_scales[i, 2] -= sums[_N + 5] / s2
    gradients.opacities[i] += sums[_LOG_ALPHA] / row[OPACITY]
    # Twice the gradient to the rotation w, because a unit quaternion changes by half of q (0, w).
    tx = 2.0 * sums[_N + 4] * (s2 / s1 - s1 / s2)
    ty = 2.0 * sums[_N + 2] * (s0 / s2 - s2 / s0)
    tz = 2.0 * sums[_N + 1] * (s1 / s0 - s0 / s1)
    w, x, y, z = (
        np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
    )  # fmt: skip
    per_length2 = 1.0 / (w * w + x * x + y * y + z * z)
    grad_quats[i, 0] += (-x * tx - y * ty - z * tz) * per_length2
    grad_quats[i, 1] += (w * tx - z * ty + y * tz) * per_length2
    grad_quats[i, 2] += (z * tx + w * ty - x * tz) * per_length2
    grad_quats[i, 3] += (-y * tx + x * ty + w * tz) * per_length2


@scalar
def _add_features(degree, weight, lit, grad, basis, sums):
    """Add one hit to the gradients of a Gaussian's features, ``sums`` [k, d]."""
    if degree < 0:
        for k in range(grad.size):
            sums[0, k] += weight * grad[k]
        return
    red = weight * grad[0] if lit & 1 else 0.0
    green = weight * grad[1] if lit & 2 else 0.0
    blue = weight * grad[2] if lit & 4 else 0.0
    for k in range((degree + 1) ** 2):
        sums[k, 0] += basis[k] * red
        sums[k, 1] += basis[k] * green
        sums[k, 2] += basis[k] * blue


@scalar
def _gather_slot(tree, shading, slot, rays, grads, records, places, sums, of_features, scratch):
    """Sum the records ``places`` of one Gaussian into ``sums`` and ``of_features``."""
    sums[:], of_features[:] = 0.0, 0.0
    i, row = tree.order[slot], tree.exact[slot]
    for record in places:
        j, lit, weight = records.rays[record], records.lit[record], np.float64(records.weights[record])
        _, ray = ray_of(rays, j)
        _add_response(row, ray, np.float64(records.to_log_alphas[record]), weight * grads.distance[j], sums)
        if shading.degree >= 0:
            gx, gy, gz = shade_backward(shading, i, rays.origins[j], grads.image[j], weight, lit, scratch)
            sums[_DIRECTION] += gx
            sums[_DIRECTION + 1] += gy
            sums[_DIRECTION + 2] += gz
        _add_features(shading.degree, weight, lit, grads.image[j], scratch.basis, of_features)


@scalar_with_arrays
def _gather_task(task, tree, shading, shapes, rays, grads, records, by_slot, gradients):
    starts = by_slot.starts
    used, d = max(shading.degree + 1, 1) ** 2, grads.image.shape[1]
    sums, of_features, scratch = np.empty(_SUMS), np.empty((used, d)), colour_scratch(d)
    for first in range(task * _RUN, starts.size - 1, _TASKS * _RUN):
        for slot in range(first, min(first + _RUN, starts.size - 1)):
            if starts[slot] == starts[slot + 1]:
                continue
            places = by_slot.order[starts[slot] : starts[slot + 1]]
            _gather_slot(tree, shading, slot, rays, grads, records, places, sums, of_features, scratch)
            i = tree.order[slot]
            _add_geometry(tree.exact[slot], shapes, i, sums, gradients)
            for k in range(used):
                for c in range(d):
                    gradients.features[i, k, c] += of_features[k, c]


@kernel
def gather(tree, shading, shapes, rays, grads, records, by_slot, gradients):
    """Add the gradients of all recorded hits to those of the Gaussians.

    Args:
        tree, shading, rays: as in free_forward.
        shapes: Shapes.
        grads: FreeOutputGradients.
        records: from free_backward.
        by_slot: from sorted_by_slot.
        gradients: FreeGradients, incremented.
    """
    for task in prange(_TASKS):
        _gather_task(task, tree, shading, shapes, rays, grads, records, by_slot, gradients)
