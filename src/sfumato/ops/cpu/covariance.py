"""Covariances from quaternions and scales, and their gradients."""

import numpy as np
import torch
from numba import prange

from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.jit import kernel, scalar
from sfumato.ops.cpu.quaternions import quat_gradient, rotation, through_unit, unit

_TWO = np.float32(2.0)


@kernel
def covariance_forward(quats, scales):
    """[n, 6] covariances R S S^T R^T of quats [n, 4] and scales [n, 3]."""
    n = quats.shape[0]
    out = np.empty((n, 6), np.float32)
    for i in prange(n):
        _, w, x, y, z = unit(quats, i)
        r0, r1, r2 = rotation(w, x, y, z)
        v0, v1, v2 = scales[i, 0] ** 2, scales[i, 1] ** 2, scales[i, 2] ** 2
        out[i, 0] = r0[0] * r0[0] * v0 + r0[1] * r0[1] * v1 + r0[2] * r0[2] * v2
        out[i, 1] = r0[0] * r1[0] * v0 + r0[1] * r1[1] * v1 + r0[2] * r1[2] * v2
        out[i, 2] = r0[0] * r2[0] * v0 + r0[1] * r2[1] * v1 + r0[2] * r2[2] * v2
        out[i, 3] = r1[0] * r1[0] * v0 + r1[1] * r1[1] * v1 + r1[2] * r1[2] * v2
        out[i, 4] = r1[0] * r2[0] * v0 + r1[1] * r2[1] * v1 + r1[2] * r2[2] * v2
        out[i, 5] = r2[0] * r2[0] * v0 + r2[1] * r2[1] * v1 + r2[2] * r2[2] * v2
    return out


@scalar
def _times_symmetric(g, r0, r1, r2, k):
    """Column k of (G + G^T) R for the packed upper-triangle gradient ``g`` of six numbers."""
    return (
        _TWO * g[0] * r0[k] + g[1] * r1[k] + g[2] * r2[k],
        g[1] * r0[k] + _TWO * g[3] * r1[k] + g[4] * r2[k],
        g[2] * r0[k] + g[4] * r1[k] + _TWO * g[5] * r2[k],
    )


@kernel
def covariance_backward(grad, quats, scales):
    """Gradients [n, 4] and [n, 3] to quats and scales; rows whose ``grad`` [n, 6] is zero get zeros."""
    n = quats.shape[0]
    grad_quats, grad_scales = np.zeros((n, 4), np.float32), np.zeros((n, 3), np.float32)
    for i in prange(n):
        g = (grad[i, 0], grad[i, 1], grad[i, 2], grad[i, 3], grad[i, 4], grad[i, 5])
        if g[0] == 0 and g[1] == 0 and g[2] == 0 and g[3] == 0 and g[4] == 0 and g[5] == 0:
            continue
        inverse, w, x, y, z = unit(quats, i)
        r0, r1, r2 = rotation(w, x, y, z)
        s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
        # With M = R S: dL/dM = (G + G^T) M; dL/ds_k = (R^T dL/dM)_kk; dL/dR = dL/dM S.
        a0, a1, a2 = _times_symmetric(g, r0, r1, r2, 0)
        b0, b1, b2 = _times_symmetric(g, r0, r1, r2, 1)
        c0, c1, c2 = _times_symmetric(g, r0, r1, r2, 2)
        grad_scales[i, 0] = s0 * (r0[0] * a0 + r1[0] * a1 + r2[0] * a2)
        grad_scales[i, 1] = s1 * (r0[1] * b0 + r1[1] * b1 + r2[1] * b2)
        grad_scales[i, 2] = s2 * (r0[2] * c0 + r1[2] * c1 + r2[2] * c2)
        v0, v1, v2 = s0 * s0, s1 * s1, s2 * s2
        a0, a1, a2, b0, b1, b2, c0, c1, c2 = (
            a0 * v0, a1 * v0, a2 * v0, b0 * v1, b1 * v1, b2 * v1, c0 * v2, c1 * v2, c2 * v2,
        )  # fmt: skip
        to_quat = quat_gradient((w, x, y, z), (a0, a1, a2), (b0, b1, b2), (c0, c1, c2))
        for k, value in enumerate(through_unit(to_quat, (w, x, y, z), inverse)):
            grad_quats[i, k] = value
    return grad_quats, grad_scales


def forward(quats, scales):
    """See sfumato.ops.covariance."""
    return torch.from_numpy(covariance_forward(as_array(quats), as_array(scales)))


def backward(grad, quats, scales):
    """Gradients to the quaternions and the scales."""
    return tuple(as_tensors(covariance_backward(as_array(grad), as_array(quats), as_array(scales))))
