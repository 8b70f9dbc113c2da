"""Gradients to the Gaussians from the sums of tracing."""

import numpy as np
from numba import prange

from sfumato.ops.cpu.image_trace.records import FINE, Z
from sfumato.ops.cpu.jit import lane_kernel, scalar
from sfumato.ops.cpu.raster.splats import add_slots
from sfumato.ops.cpu.simd import bundles
from sfumato.ops.cpu.simd import lanes as ln
from sfumato.ops.cpu.simd.vectors import dot, mixed, products, rotation, row, scaled

# Sums of a (Gaussian, tile) pair: -dL/do_g (3), alpha dL/dalpha, then the symmetric matrix -N as
# (xx, xy, xz, yy, yz, zz).
MOMENTS = 10

_CHUNK = 128
# Records are prefetched this many Gaussians ahead.
_AHEAD = 8


def sums_layout(d: int, absolute: bool) -> tuple[np.ndarray, int]:
    """(column of each of the 10 + d (+ 1) sums, row length) of trace_backward's output."""
    count = MOMENTS + d + absolute
    return np.array([bundles.totals_position(i, count) for i in range(count)]), -(-count // 8) * 8


@scalar
def _of_shape(turned, scale, rows, found):
    """Gradients to a quaternion and to the scales.

    Args:
        turned: result of ``rotation``.
        scale: the scales.
        rows: X, Y and Z.
        found: the sums; -N from the fifth on.
    """
    columns, (w, x, y, z), inverse = turned
    # Columns of the rotation of the unit ball's frame, q = rows R S.
    a = products(rows, scaled(columns[0], scale[0]))
    b = products(rows, scaled(columns[1], scale[1]))
    c = products(rows, scaled(columns[2], scale[2]))
    n = (found[4], found[5], found[6]), (found[5], found[7], found[8]), (found[6], found[8], found[9])
    na, nb, nc = products(n, a), products(n, b), products(n, c)
    stretches = dot(a, na) / scale[0], dot(b, nb) / scale[1], dot(c, nc) / scale[2]
    # Gradients to small rotations about the local axes, R (I + [turn]x), then to the quaternion.
    tx = -2.0 * inverse * dot(b, nc) * (scale[2] / scale[1] - scale[1] / scale[2])
    ty = -2.0 * inverse * dot(a, nc) * (scale[0] / scale[2] - scale[2] / scale[0])
    tz = -2.0 * inverse * dot(a, nb) * (scale[1] / scale[0] - scale[0] / scale[1])
    turns = (
        -x * tx - y * ty - z * tz,
        w * tx - z * ty + y * tz,
        z * tx + w * ty - x * tz,
        -y * tx + x * ty + w * tz,
    )
    return turns, stretches


@lane_kernel
def trace_gradients(tiles, sums, columns, records, quats, scales, opacities, d):
    """Sum the pairs of each Gaussian in slot order and compute its gradients.

    Args:
        tiles: from bin_rays.
        sums, columns: [p, row] and [10 + d (+ 1)] from trace_backward and sums_layout.
        records: Records.
        quats, scales, opacities: as in trace_records.
        d: number of channels.

    Returns:
        Gradients to means [n, 3], quats [n, 4], scales [n, 3], opacities [n], colours [n, d], and
        the sum of |dL/dmean| over rays [n]; zeros for invisible Gaussians.

    Source: Deybach 2025, eq. 25 to 40, for y = o_g + tau d_g in the frame of the unit ball: there
        dL/do_g = sum of g y, and the gradients to scale and rotation follow from N = sum of g y y^T.
    """
    order, starts = tiles.order, tiles.slot_starts
    rough, fine = records.rough, records.fine
    n = opacities.size
    grad_means, grad_quats = np.zeros((n, 3), np.float32), np.zeros((n, 4), np.float32)
    grad_scales, grad_opacities = np.zeros((n, 3), np.float32), np.zeros(n, np.float32)
    grad_colours, steepness = np.zeros((n, d), np.float32), np.zeros(n, np.float32)
    flat, flat_rough, flat_fine, stride = sums.ravel(), rough.ravel(), fine.ravel(), rough.shape[1]
    flat_quats, flat_scales = quats.ravel(), scales.ravel()
    for chunk in prange((order.size + _CHUNK - 1) // _CHUNK):
        added, found = np.empty(sums.shape[1], np.float32), np.empty(columns.size)
        for rank in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, order.size)):
            # Prefetched because parameters are stored in the order of the scene, not in depth order.
            later = np.intp(order[min(rank + _AHEAD, order.size - 1)])
            ln.prefetch(flat_fine, later * FINE)
            ln.prefetch(flat_rough, later * stride + Z)
            ln.prefetch(flat_quats, later * 4)
            ln.prefetch(flat_scales, later * 3)
            if starts[rank] == starts[rank + 1]:
                continue
            add_slots(flat, tiles.slot_pair, starts[rank], starts[rank + 1], columns, added, found)
            i = order[rank]
            x, y = (fine[i, 0], fine[i, 1], fine[i, 2]), (fine[i, 3], fine[i, 4], fine[i, 5])
            z = np.float64(rough[i, Z]), np.float64(rough[i, Z + 1]), np.float64(rough[i, Z + 2])
            mean = mixed(x, y, z, (found[0], found[1], found[2]))
            turns, stretches = _of_shape(rotation(quats, i), row(scales, i), (x, y, z), found)
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
