"""Projection of Gaussians to ellipses in the image, and the gradient, in a loop over Gaussians."""

from typing import NamedTuple

import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.jit import kernel, scalar

PINHOLE, ORTHO, FISHEYE = range(3)
MODELS = {"pinhole": PINHOLE, "ortho": ORTHO, "fisheye": FISHEYE}

_ALPHA_MIN = np.float32(constants.ALPHA_MIN)
_EXTENT_SIGMAS = np.float32(constants.EXTENT_SIGMAS)
_RADIUS_MAX_PX = np.float32(constants.RADIUS_MAX_PX)
_TANGENT_MARGIN = np.float32((constants.TANGENT_LIMIT - 1.0) * 0.5)
# Squared tangent below which series replace the closed forms of the fisheye, which cancel even in float64.
_SMALL_TANGENT2 = 1e-4
_HALF, _ONE, _TWO, _ZERO = np.float32(0.5), np.float32(1.0), np.float32(2.0), np.float32(0.0)
# Gaussians whose pose gradients are summed together; fixes the order of the sum.
_CHUNK = 256


class ImagePlane(NamedTuple):
    """Camera parameters for projection.

    Attributes:
        pose, intrinsics: [4, 4] camera from world, and [3, 3], float32.
        width, height: pixels.
        model: one of MODELS.
    """

    pose: np.ndarray
    intrinsics: np.ndarray
    width: int
    height: int
    model: int


class EllipseGradients(NamedTuple):
    """Gradients to the results of projection: [n, 2], [n, 3], [n], [n] float32."""

    mean_px: np.ndarray
    conic: np.ndarray
    depth: np.ndarray
    compensation: np.ndarray


@scalar
def _fisheye_terms(x, y, z):
    """s = theta / r, q = (ds/dx) / x and dq/d(r^2), in float64: the closed forms cancel in float32."""
    x, y, z = np.float64(x), np.float64(y), np.float64(z)
    r2 = x * x + y * y
    if z > 0 and r2 < _SMALL_TANGENT2 * z * z:
        u = r2 / (z * z)
        s = (1 - u / 3 + u**2 / 5 - u**3 / 7 + u**4 / 9) / z
        q = (-2 / 3 + 4 * u / 5 - 6 * u**2 / 7 + 8 * u**3 / 9) / z**3
        return s, q, (4 / 5 - 12 * u / 7 + 24 * u**2 / 9) / z**5
    r = np.sqrt(r2)
    s = np.arctan2(r, z) / r
    distance2 = r2 + z * z
    q = (z / distance2 - s) / r2
    return s, q, -(z / (distance2 * distance2) + 1.5 * q) / r2


@scalar
def _clamped_tangents(x, y, z, fx, fy, cx, cy, width, height):
    margin_x, margin_y = _TANGENT_MARGIN * width / fx, _TANGENT_MARGIN * height / fy
    tx = min(max(x / z, -cx / fx - margin_x), (width - cx) / fx + margin_x)
    ty = min(max(y / z, -cy / fy - margin_y), (height - cy) / fy + margin_y)
    return tx, ty


@scalar
def _lens(model, x, y, z, fx, fy, cx, cy, width, height):
    """Image point (u, v) of a camera point, and the rows of the Jacobian."""
    if model == PINHOLE:
        tx, ty = _clamped_tangents(x, y, z, fx, fy, cx, cy, width, height)
        row_u = (fx / z, _ZERO, -fx * tx / z)
        row_v = (_ZERO, fy / z, -fy * ty / z)
        return fx * x / z + cx, fy * y / z + cy, row_u, row_v
    if model == ORTHO:
        return fx * x + cx, fy * y + cy, (fx, _ZERO, _ZERO), (_ZERO, fy, _ZERO)
    s64, q64, _ = _fisheye_terms(x, y, z)
    s, q = np.float32(s64), np.float32(q64)
    along_z = -_ONE / (x * x + y * y + z * z)
    row_u = (fx * (s + x * x * q), fx * x * y * q, fx * x * along_z)
    row_v = (fy * x * y * q, fy * (s + y * y * q), fy * y * along_z)
    return fx * x * s + cx, fy * y * s + cy, row_u, row_v


@scalar
def _lens_backward(model, x, y, z, fx, fy, cx, cy, width, height, gu, gv, ju, jv):
    """Gradient to the camera point from those to the image point and to the Jacobian's rows."""
    if model == PINHOLE:
        tx, ty = _clamped_tangents(x, y, z, fx, fy, cx, cy, width, height)
        inverse = _ONE / z
        inverse2 = inverse * inverse
        gx = gu * fx * inverse
        gy = gv * fy * inverse
        gz = -(gu * fx * x + gv * fy * y) * inverse2 - (ju[0] * fx + jv[1] * fy) * inverse2
        gz += (ju[2] * fx * tx + jv[2] * fy * ty) * inverse2
        if tx == x / z:
            gx -= ju[2] * fx * inverse2
            gz += ju[2] * fx * x * inverse2 * inverse
        if ty == y / z:
            gy -= jv[2] * fy * inverse2
            gz += jv[2] * fy * y * inverse2 * inverse
        return gx, gy, gz
    if model == ORTHO:
        return gu * fx, gv * fy, _ZERO
    s64, q64, dq64 = _fisheye_terms(x, y, z)
    s, q, dq = np.float32(s64), np.float32(q64), np.float32(dq64)
    a = -_ONE / (x * x + y * y + z * z)
    # Derivatives: ds = q (x dx + y dy) + a dz; dq = 2 dq_r2 (x dx + y dy) + 2 a^2 dz;
    # da = 2 a^2 (x dx + y dy + z dz).
    to_s = gu * fx * x + gv * fy * y + ju[0] * fx + jv[1] * fy
    to_q = ju[0] * fx * x * x + (ju[1] * fx + jv[0] * fy) * x * y + jv[1] * fy * y * y
    to_a = ju[2] * fx * x + jv[2] * fy * y
    radial = to_s * q + to_q * _TWO * dq + to_a * _TWO * a * a
    cross = (ju[1] * fx + jv[0] * fy) * q
    gx = gu * fx * s + ju[0] * fx * _TWO * x * q + cross * y + ju[2] * fx * a + radial * x
    gy = gv * fy * s + jv[1] * fy * _TWO * y * q + cross * x + jv[2] * fy * a + radial * y
    gz = to_s * a + to_q * _TWO * a * a + to_a * _TWO * a * a * z
    return gx, gy, gz


@scalar
def _row_times(row, m):
    """[3] row times the rotation part of a [4, 4] matrix."""
    return (
        row[0] * m[0, 0] + row[1] * m[1, 0] + row[2] * m[2, 0],
        row[0] * m[0, 1] + row[1] * m[1, 1] + row[2] * m[2, 1],
        row[0] * m[0, 2] + row[1] * m[1, 2] + row[2] * m[2, 2],
    )


@scalar
def _symmetric_times(c, i, v):
    """Packed symmetric matrix c[i] times a vector."""
    return (
        c[i, 0] * v[0] + c[i, 1] * v[1] + c[i, 2] * v[2],
        c[i, 1] * v[0] + c[i, 3] * v[1] + c[i, 4] * v[2],
        c[i, 2] * v[0] + c[i, 4] * v[1] + c[i, 5] * v[2],
    )


@scalar
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@scalar
def _camera_point(m, means, i):
    x, y, z = means[i, 0], means[i, 1], means[i, 2]
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3],
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3],
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3],
    )


@kernel
def project_forward(means, covariances, opacities, plane, near, far, blur, radius_clip, antialiased):
    """See sfumato.ops.project; ``opacities`` has length 0 if not given."""
    n, pose, intrinsics, model = means.shape[0], plane.pose, plane.intrinsics, plane.model
    mean_px, conic = np.zeros((n, 2), np.float32), np.zeros((n, 3), np.float32)
    depth, compensation = np.zeros(n, np.float32), np.zeros(n, np.float32)
    radius_px = np.zeros((n, 2), np.int32)
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    w, h = np.float32(plane.width), np.float32(plane.height)
    for i in prange(n):
        x, y, z = _camera_point(pose, means, i)
        if not (z >= near and z <= far):
            continue
        u, v, row_u, row_v = _lens(model, x, y, z, fx, fy, cx, cy, w, h)
        mu, mv = _row_times(row_u, pose), _row_times(row_v, pose)
        cu, cv = _symmetric_times(covariances, i, mu), _symmetric_times(covariances, i, mv)
        xx, xy, yy = _dot(mu, cu), _dot(mu, cv), _dot(mv, cv)
        flat_det = xx * yy - xy * xy
        xx += blur
        yy += blur
        det = xx * yy - xy * xy
        if not (det > 0 and det < np.inf and np.isfinite(u) and np.isfinite(v)):
            continue
        ratio = np.sqrt(max(flat_det / det, _ZERO))
        extent = _EXTENT_SIGMAS
        if opacities.size > 0:
            peak = opacities[i] * ratio if antialiased else opacities[i]
            if not peak >= _ALPHA_MIN:
                continue
            extent = min(extent, np.sqrt(_TWO * np.log(peak / _ALPHA_MIN)))
        rx, ry = np.ceil(extent * np.sqrt(xx)), np.ceil(extent * np.sqrt(yy))
        if u + rx <= 0 or u - rx >= w or v + ry <= 0 or v - ry >= h:
            continue
        if (rx <= radius_clip and ry <= radius_clip) or rx < _ONE or ry < _ONE:
            continue
        mean_px[i, 0], mean_px[i, 1] = u, v
        conic[i, 0], conic[i, 1], conic[i, 2] = yy / det, -xy / det, xx / det
        depth[i], compensation[i] = z, ratio
        radius_px[i, 0], radius_px[i, 1] = min(rx, _RADIUS_MAX_PX), min(ry, _RADIUS_MAX_PX)
    return mean_px, conic, depth, compensation, radius_px


@scalar
def _covariance_px_gradient(a, b, c, ga, gb, gc, ratio, g_ratio, blur):
    """Gradient (xx, xy, yy) to the image covariance from those to its conic and compensation."""
    # d(inverse) = -K dS K, with K = [[a, b], [b, c]].
    gxx = -(ga * a * a + gb * a * b + gc * b * b)
    gxy = -(_TWO * ga * a * b + gb * (a * c + b * b) + _TWO * gc * b * c)
    gyy = -(ga * b * b + gb * b * c + gc * c * c)
    if g_ratio != 0 and ratio > 0:
        # ratio^2 = det / det_blurred; with blurred entries det = det_b - blur (xx + yy) + blur^2.
        det_b = _ONE / (a * c - b * b)
        xx, xy, yy = c * det_b, -b * det_b, a * det_b
        half = _HALF * g_ratio / (ratio * det_b)
        r2 = ratio * ratio
        gxx += half * (yy - blur - r2 * yy)
        gyy += half * (xx - blur - r2 * xx)
        gxy += half * _TWO * xy * (r2 - _ONE)
    return gxx, gxy, gyy


@kernel
def project_backward(grads, means, covariances, plane, conic, compensation, radius_px, blur, want_pose):
    """Gradients to means [n, 3], covariances [n, 6] and the pose [4, 4] (zeros unless ``want_pose``)."""
    n, pose, intrinsics, model = means.shape[0], plane.pose, plane.intrinsics, plane.model
    grad_mean_px, grad_conic = grads.mean_px, grads.conic
    grad_depth, grad_compensation = grads.depth, grads.compensation
    grad_means, grad_cov = np.zeros((n, 3), np.float32), np.zeros((n, 6), np.float32)
    chunks = (n + _CHUNK - 1) // _CHUNK
    pose_sums = np.zeros((chunks, 3, 4), np.float64)
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    w, h = np.float32(plane.width), np.float32(plane.height)
    for chunk in prange(chunks):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, n)):
            if radius_px[i, 0] == 0:
                continue
            x, y, z = _camera_point(pose, means, i)
            _, _, row_u, row_v = _lens(model, x, y, z, fx, fy, cx, cy, w, h)
            mu, mv = _row_times(row_u, pose), _row_times(row_v, pose)
            gxx, gxy, gyy = _covariance_px_gradient(
                conic[i, 0], conic[i, 1], conic[i, 2],
                grad_conic[i, 0], grad_conic[i, 1], grad_conic[i, 2],
                compensation[i], grad_compensation[i], blur,
            )  # fmt: skip
            # S2 = M S M^T with rows mu, mv of M = J R.
            grad_cov[i, 0] = gxx * mu[0] * mu[0] + gxy * mu[0] * mv[0] + gyy * mv[0] * mv[0]
            grad_cov[i, 3] = gxx * mu[1] * mu[1] + gxy * mu[1] * mv[1] + gyy * mv[1] * mv[1]
            grad_cov[i, 5] = gxx * mu[2] * mu[2] + gxy * mu[2] * mv[2] + gyy * mv[2] * mv[2]
            for slot, j, k in ((1, 0, 1), (2, 0, 2), (4, 1, 2)):
                grad_cov[i, slot] = (
                    _TWO * gxx * mu[j] * mu[k]
                    + gxy * (mu[j] * mv[k] + mu[k] * mv[j])
                    + _TWO * gyy * mv[j] * mv[k]
                )
            cu, cv = _symmetric_times(covariances, i, mu), _symmetric_times(covariances, i, mv)
            gmu = (
                _TWO * gxx * cu[0] + gxy * cv[0],
                _TWO * gxx * cu[1] + gxy * cv[1],
                _TWO * gxx * cu[2] + gxy * cv[2],
            )
            gmv = (
                _TWO * gyy * cv[0] + gxy * cu[0],
                _TWO * gyy * cv[1] + gxy * cu[1],
                _TWO * gyy * cv[2] + gxy * cu[2],
            )
            ju = (_dot(gmu, pose[0]), _dot(gmu, pose[1]), _dot(gmu, pose[2]))
            jv = (_dot(gmv, pose[0]), _dot(gmv, pose[1]), _dot(gmv, pose[2]))
            gx, gy, gz = _lens_backward(
                model, x, y, z, fx, fy, cx, cy, w, h, grad_mean_px[i, 0], grad_mean_px[i, 1], ju, jv
            )
            gz += grad_depth[i]
            point = (gx, gy, gz)
            world = _row_times(point, pose)
            grad_means[i, 0], grad_means[i, 1], grad_means[i, 2] = world[0], world[1], world[2]
            if want_pose:
                for j in range(3):
                    for k in range(3):
                        pose_sums[chunk, j, k] += (
                            point[j] * means[i, k] + row_u[j] * gmu[k] + row_v[j] * gmv[k]
                        )
                    pose_sums[chunk, j, 3] += point[j]
    grad_pose = np.zeros((4, 4), np.float32)
    for j in range(3):
        for k in range(4):
            value = 0.0
            for chunk in range(chunks):
                value += pose_sums[chunk, j, k]
            grad_pose[j, k] = value
    return grad_means, grad_cov, grad_pose
