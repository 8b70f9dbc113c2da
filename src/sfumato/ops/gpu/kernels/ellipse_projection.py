"""Projection of Gaussians to ellipses in the image, and the gradient, one Gaussian per lane."""

import triton
import triton.language as tl

from sfumato.ops import constants
from sfumato.ops.gpu.kernels.ideal_lenses import lens, lens_backward

ALPHA_MIN = tl.constexpr(constants.ALPHA_MIN)
EXTENT_SIGMAS = tl.constexpr(constants.EXTENT_SIGMAS)
RADIUS_MAX_PX = tl.constexpr(float(constants.RADIUS_MAX_PX))
INFINITE = tl.constexpr(float("inf"))


@triton.jit
def _rotation(pose):
    """The nine entries of the rotation of a [4, 4] pose, by rows."""
    return (
        tl.load(pose), tl.load(pose + 1), tl.load(pose + 2),
        tl.load(pose + 4), tl.load(pose + 5), tl.load(pose + 6),
        tl.load(pose + 8), tl.load(pose + 9), tl.load(pose + 10),
    )  # fmt: skip


@triton.jit
def _focal_and_centre(intrinsics):
    return (
        tl.load(intrinsics), tl.load(intrinsics + 4), tl.load(intrinsics + 2), tl.load(intrinsics + 5)
    )  # fmt: skip


@triton.jit
def _turned(x, y, z, r00, r01, r02, r10, r11, r12, r20, r21, r22):
    """A vector (x, y, z) multiplied by a rotation given by rows."""
    return r00 * x + r01 * y + r02 * z, r10 * x + r11 * y + r12 * z, r20 * x + r21 * y + r22 * z


@triton.jit
def _turned_back(x, y, z, r00, r01, r02, r10, r11, r12, r20, r21, r22):
    """A vector (x, y, z) multiplied by the transpose of a rotation given by rows."""
    return r00 * x + r10 * y + r20 * z, r01 * x + r11 * y + r21 * z, r02 * x + r12 * y + r22 * z


@triton.jit
def _times_packed(s, x, y, z):
    """The packed covariance at ``s`` times (x, y, z)."""
    xx, xy, xz = tl.load(s), tl.load(s + 1), tl.load(s + 2)
    yy, yz, zz = tl.load(s + 3), tl.load(s + 4), tl.load(s + 5)
    return xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z


@triton.jit(do_not_specialize=["n"])
def project_forward(
    means, covariances, pose, intrinsics, opacities, limits, mean_px, conic, depth, compensation, radius_px,
    wide, tall, blur, radius_clip, n,
    MODEL: tl.constexpr, OPACITIES: tl.constexpr, ANTIALIASED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """See sfumato.ops.project; culled rows get zeros.

    Args:
        wide, tall: of the image, px, as floats, as Triton specialises integers that are 1.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = _rotation(pose)
    fx, fy, cx, cy = _focal_and_centre(intrinsics)
    m_x, m_y, m_z = tl.load(means + 3 * i), tl.load(means + 3 * i + 1), tl.load(means + 3 * i + 2)
    x, y, z = _turned(m_x, m_y, m_z, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    x, y, z = x + tl.load(pose + 3), y + tl.load(pose + 7), z + tl.load(pose + 11)
    u, v, u_x, u_y, u_z, v_x, v_y, v_z = lens(x, y, z, fx, fy, cx, cy, wide, tall, MODEL)
    # Rows of M = J W, of which the ellipse is M Sigma M^T.
    a0, a1, a2 = _turned_back(u_x, u_y, u_z, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    b0, b1, b2 = _turned_back(v_x, v_y, v_z, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    s0, s1, s2 = _times_packed(covariances + 6 * i, a0, a1, a2)
    t0, t1, t2 = _times_packed(covariances + 6 * i, b0, b1, b2)
    xx, xy, yy = a0 * s0 + a1 * s1 + a2 * s2, a0 * t0 + a1 * t1 + a2 * t2, b0 * t0 + b1 * t1 + b2 * t2
    flat = xx * yy - xy * xy
    xx, yy = xx + blur, yy + blur
    det = xx * yy - xy * xy
    ratio = tl.sqrt(tl.maximum(flat / det, 0.0))
    # NaN fails every comparison.
    seen = (z >= tl.load(limits).to(tl.float32)) & (z <= tl.load(limits + 1).to(tl.float32))
    seen = seen & (det > 0) & (det < INFINITE) & (tl.abs(u) < INFINITE) & (tl.abs(v) < INFINITE)
    extent = tl.zeros_like(z) + EXTENT_SIGMAS
    if OPACITIES:
        peak = tl.load(opacities + i)
        if ANTIALIASED:
            peak = peak * ratio
        seen = seen & (peak >= ALPHA_MIN)
        extent = tl.minimum(tl.sqrt(2.0 * tl.log(tl.maximum(peak / ALPHA_MIN, 1.0))), EXTENT_SIGMAS)
    reach_x, reach_y = tl.ceil(extent * tl.sqrt(xx)), tl.ceil(extent * tl.sqrt(yy))
    seen = seen & (u + reach_x > 0) & (u - reach_x < wide) & (v + reach_y > 0) & (v - reach_y < tall)
    seen = seen & ((reach_x > radius_clip) | (reach_y > radius_clip)) & (reach_x >= 1) & (reach_y >= 1)
    tl.store(mean_px + 2 * i, tl.where(seen, u, 0.0), mask=here)
    tl.store(mean_px + 2 * i + 1, tl.where(seen, v, 0.0), mask=here)
    tl.store(conic + 3 * i, tl.where(seen, yy / det, 0.0), mask=here)
    tl.store(conic + 3 * i + 1, tl.where(seen, -xy / det, 0.0), mask=here)
    tl.store(conic + 3 * i + 2, tl.where(seen, xx / det, 0.0), mask=here)
    tl.store(depth + i, tl.where(seen, z, 0.0), mask=here)
    tl.store(compensation + i, tl.where(seen, ratio, 0.0), mask=here)
    reach_x = tl.where(seen, tl.minimum(reach_x, RADIUS_MAX_PX), 0.0)
    reach_y = tl.where(seen, tl.minimum(reach_y, RADIUS_MAX_PX), 0.0)
    tl.store(radius_px + 2 * i, reach_x.to(tl.int32), mask=here)
    tl.store(radius_px + 2 * i + 1, reach_y.to(tl.int32), mask=here)


@triton.jit
def _to_ellipse(a, b, c, g_a, g_b, g_c, ratio, g_ratio, blur):
    """Gradient to the covariance (xx, xy, yy) in the image from those to its conic and compensation."""
    # The derivative of the inverse K is -K dS K.
    g_xx = -(g_a * a * a + g_b * a * b + g_c * b * b)
    g_xy = -(2.0 * g_a * a * b + g_b * (a * c + b * b) + 2.0 * g_c * b * c)
    g_yy = -(g_a * b * b + g_b * b * c + g_c * c * c)
    # ratio^2 = det / blurred det, with det = blurred det - blur (xx + yy) + blur^2 in blurred entries.
    some = (g_ratio != 0) & (ratio > 0)
    det = 1.0 / (a * c - b * b)
    xx, xy, yy = c * det, -b * det, a * det
    half = tl.where(some, 0.5 * g_ratio / (ratio * det), 0.0)
    squared = ratio * ratio
    g_xx += tl.where(some, half * (yy - blur - squared * yy), 0.0)
    g_yy += tl.where(some, half * (xx - blur - squared * xx), 0.0)
    g_xy += tl.where(some, 2.0 * half * xy * (squared - 1.0), 0.0)
    return g_xx, g_xy, g_yy


@triton.jit
def _store_packed(out, seen, here, g_xx, g_xy, g_yy, a0, a1, a2, b0, b1, b2):
    """Gradient to the packed covariance, of which the ellipse is M Sigma M^T with the rows a and b of M."""
    tl.store(out, tl.where(seen, g_xx * a0 * a0 + g_xy * a0 * b0 + g_yy * b0 * b0, 0.0), mask=here)
    tl.store(out + 3, tl.where(seen, g_xx * a1 * a1 + g_xy * a1 * b1 + g_yy * b1 * b1, 0.0), mask=here)
    tl.store(out + 5, tl.where(seen, g_xx * a2 * a2 + g_xy * a2 * b2 + g_yy * b2 * b2, 0.0), mask=here)
    # An off-diagonal entry represents two.
    both = 2.0 * g_xx * a0 * a1 + g_xy * (a0 * b1 + a1 * b0) + 2.0 * g_yy * b0 * b1
    tl.store(out + 1, tl.where(seen, both, 0.0), mask=here)
    both = 2.0 * g_xx * a0 * a2 + g_xy * (a0 * b2 + a2 * b0) + 2.0 * g_yy * b0 * b2
    tl.store(out + 2, tl.where(seen, both, 0.0), mask=here)
    both = 2.0 * g_xx * a1 * a2 + g_xy * (a1 * b2 + a2 * b1) + 2.0 * g_yy * b1 * b2
    tl.store(out + 4, tl.where(seen, both, 0.0), mask=here)


@triton.jit
def _store_shares(share, seen, g, m_x, m_y, m_z, u_k, v_k, p0, p1, p2, q0, q1, q2):
    """A program's share of the gradient of a row of the pose, through the point and through M = J W."""
    tl.store(share, tl.sum(tl.where(seen, g * m_x + u_k * p0 + v_k * q0, 0.0)))
    tl.store(share + 1, tl.sum(tl.where(seen, g * m_y + u_k * p1 + v_k * q1, 0.0)))
    tl.store(share + 2, tl.sum(tl.where(seen, g * m_z + u_k * p2 + v_k * q2, 0.0)))
    tl.store(share + 3, tl.sum(tl.where(seen, g, 0.0)))


@triton.jit(do_not_specialize=["n"])
def project_backward(
    to_mean_px, to_conic, to_depth, to_compensation, conic, compensation, radius_px,
    means, covariances, pose, intrinsics, to_means, to_covariances, to_pose, wide, tall, blur, n,
    MODEL: tl.constexpr, POSE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of means and covariances, zero where culled, and each program's share of that of the pose.

    Args:
        to_pose: [programs, 12] rows of the upper 3x4, written where POSE.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    seen = here & (tl.load(radius_px + 2 * i) > 0)
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = _rotation(pose)
    fx, fy, cx, cy = _focal_and_centre(intrinsics)
    m_x, m_y, m_z = tl.load(means + 3 * i), tl.load(means + 3 * i + 1), tl.load(means + 3 * i + 2)
    x, y, z = _turned(m_x, m_y, m_z, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    x, y, z = x + tl.load(pose + 3), y + tl.load(pose + 7), z + tl.load(pose + 11)
    _, _, u_x, u_y, u_z, v_x, v_y, v_z = lens(x, y, z, fx, fy, cx, cy, wide, tall, MODEL)
    a0, a1, a2 = _turned_back(u_x, u_y, u_z, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    b0, b1, b2 = _turned_back(v_x, v_y, v_z, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    g_xx, g_xy, g_yy = _to_ellipse(
        tl.load(conic + 3 * i), tl.load(conic + 3 * i + 1), tl.load(conic + 3 * i + 2),
        tl.load(to_conic + 3 * i), tl.load(to_conic + 3 * i + 1), tl.load(to_conic + 3 * i + 2),
        tl.load(compensation + i), tl.load(to_compensation + i), blur,
    )  # fmt: skip
    _store_packed(to_covariances + 6 * i, seen, here, g_xx, g_xy, g_yy, a0, a1, a2, b0, b1, b2)
    s0, s1, s2 = _times_packed(covariances + 6 * i, a0, a1, a2)
    t0, t1, t2 = _times_packed(covariances + 6 * i, b0, b1, b2)
    # Gradients to the rows of M, and through W to those of the Jacobian.
    p0, p1, p2 = 2.0 * g_xx * s0 + g_xy * t0, 2.0 * g_xx * s1 + g_xy * t1, 2.0 * g_xx * s2 + g_xy * t2
    q0, q1, q2 = 2.0 * g_yy * t0 + g_xy * s0, 2.0 * g_yy * t1 + g_xy * s1, 2.0 * g_yy * t2 + g_xy * s2
    j_ux, j_uy, j_uz = _turned(p0, p1, p2, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    j_vx, j_vy, j_vz = _turned(q0, q1, q2, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    g_u, g_v = tl.load(to_mean_px + 2 * i), tl.load(to_mean_px + 2 * i + 1)
    g_x, g_y, g_z = lens_backward(
        x, y, z, fx, fy, cx, cy, wide, tall, g_u, g_v, j_ux, j_uy, j_uz, j_vx, j_vy, j_vz, MODEL
    )
    g_z += tl.load(to_depth + i)
    w_x, w_y, w_z = _turned_back(g_x, g_y, g_z, r00, r01, r02, r10, r11, r12, r20, r21, r22)
    tl.store(to_means + 3 * i, tl.where(seen, w_x, 0.0), mask=here)
    tl.store(to_means + 3 * i + 1, tl.where(seen, w_y, 0.0), mask=here)
    tl.store(to_means + 3 * i + 2, tl.where(seen, w_z, 0.0), mask=here)
    if POSE:
        share = to_pose + 12 * tl.program_id(0)
        _store_shares(share, seen, g_x, m_x, m_y, m_z, u_x, v_x, p0, p1, p2, q0, q1, q2)
        _store_shares(share + 4, seen, g_y, m_x, m_y, m_z, u_y, v_y, p0, p1, p2, q0, q1, q2)
        _store_shares(share + 8, seen, g_z, m_x, m_y, m_z, u_z, v_z, p0, p1, p2, q0, q1, q2)
