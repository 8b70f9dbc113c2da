"""Covariances from quaternions and scales, and the gradient, one Gaussian per lane."""

import triton
import triton.language as tl

from sfumato.ops.gpu.kernels.rotations import (
    rotation_rows,
    through_normalisation,
    to_unit_quaternion,
    unit_quaternion,
)


@triton.jit
def _entry(a0, a1, a2, b0, b1, b2, v0, v1, v2):
    return a0 * b0 * v0 + a1 * b1 * v1 + a2 * b2 * v2


@triton.jit(do_not_specialize=["n"])
def covariance_forward(quats, scales, covariances, n, BLOCK: tl.constexpr):
    """Write R S S^T R^T, packed, of each row."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    _, w, x, y, z = unit_quaternion(quats, i)
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation_rows(w, x, y, z)
    s0, s1, s2 = tl.load(scales + 3 * i), tl.load(scales + 3 * i + 1), tl.load(scales + 3 * i + 2)
    v0, v1, v2 = s0 * s0, s1 * s1, s2 * s2
    out = covariances + 6 * i
    tl.store(out, _entry(r00, r01, r02, r00, r01, r02, v0, v1, v2), mask=here)
    tl.store(out + 1, _entry(r00, r01, r02, r10, r11, r12, v0, v1, v2), mask=here)
    tl.store(out + 2, _entry(r00, r01, r02, r20, r21, r22, v0, v1, v2), mask=here)
    tl.store(out + 3, _entry(r10, r11, r12, r10, r11, r12, v0, v1, v2), mask=here)
    tl.store(out + 4, _entry(r10, r11, r12, r20, r21, r22, v0, v1, v2), mask=here)
    tl.store(out + 5, _entry(r20, r21, r22, r20, r21, r22, v0, v1, v2), mask=here)


@triton.jit
def _times_symmetric(xx, xy, xz, yy, yz, zz, a, b, c):
    """(G + G^T) (a, b, c) for the gradient G of a packed covariance, which stores symmetric entries once."""
    return 2.0 * xx * a + xy * b + xz * c, xy * a + 2.0 * yy * b + yz * c, xz * a + yz * b + 2.0 * zz * c


@triton.jit(do_not_specialize=["n"])
def covariance_backward(grad, quats, scales, to_quats, to_scales, n, BLOCK: tl.constexpr):
    """Gradients to quaternions and scales; rows of zeros in ``grad`` get zeros.

    With M = R S: dL/dM = (G + G^T) M, dL/ds_k = (R^T dL/dM)_kk, dL/dR = dL/dM S.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    g = grad + 6 * i
    xx, xy, xz = tl.load(g), tl.load(g + 1), tl.load(g + 2)
    yy, yz, zz = tl.load(g + 3), tl.load(g + 4), tl.load(g + 5)
    # NaN passes this test: only Gaussians without any gradient are skipped.
    some = (xx != 0) | (xy != 0) | (xz != 0) | (yy != 0) | (yz != 0) | (zz != 0)
    inverse, w, x, y, z = unit_quaternion(quats, i)
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation_rows(w, x, y, z)
    s0, s1, s2 = tl.load(scales + 3 * i), tl.load(scales + 3 * i + 1), tl.load(scales + 3 * i + 2)
    a0, a1, a2 = _times_symmetric(xx, xy, xz, yy, yz, zz, r00, r10, r20)
    b0, b1, b2 = _times_symmetric(xx, xy, xz, yy, yz, zz, r01, r11, r21)
    c0, c1, c2 = _times_symmetric(xx, xy, xz, yy, yz, zz, r02, r12, r22)
    tl.store(to_scales + 3 * i, tl.where(some, s0 * (r00 * a0 + r10 * a1 + r20 * a2), 0.0), mask=here)
    tl.store(to_scales + 3 * i + 1, tl.where(some, s1 * (r01 * b0 + r11 * b1 + r21 * b2), 0.0), mask=here)
    tl.store(to_scales + 3 * i + 2, tl.where(some, s2 * (r02 * c0 + r12 * c1 + r22 * c2), 0.0), mask=here)
    v0, v1, v2 = s0 * s0, s1 * s1, s2 * s2
    g_w, g_x, g_y, g_z = to_unit_quaternion(
        w, x, y, z, a0 * v0, b0 * v1, c0 * v2, a1 * v0, b1 * v1, c1 * v2, a2 * v0, b2 * v1, c2 * v2
    )
    g_w, g_x, g_y, g_z = through_normalisation(inverse, w, x, y, z, g_w, g_x, g_y, g_z)
    tl.store(to_quats + 4 * i, tl.where(some, g_w, 0.0), mask=here)
    tl.store(to_quats + 4 * i + 1, tl.where(some, g_x, 0.0), mask=here)
    tl.store(to_quats + 4 * i + 2, tl.where(some, g_y, 0.0), mask=here)
    tl.store(to_quats + 4 * i + 3, tl.where(some, g_z, 0.0), mask=here)
