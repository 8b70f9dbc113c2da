"""The first half of the gradient of rays: each is traversed again, and a record of each hit is stored.

It runs front to back with one number S per ray (S_n = C - sum_{m<=n} c_m alpha_m T_m); ray_sums adds up the
records of each Gaussian.
"""

import triton
import triton.language as tl

from sfumato.ops.gpu.kernels.hulls import LOCAL, ROW
from sfumato.ops.gpu.kernels.ray_blending import direction_to, ray_of, slope_of_harmonics, sum_of_harmonics
from sfumato.ops.gpu.kernels.ray_walk import (
    ALPHA_MAX,
    BEFORE_ALL,
    NOTHING,
    index_of,
    nearest_of,
    next_hits,
    rays_of_program,
    response,
)


@triton.jit
def _to_colour(value, grad, weight):
    """Gradient of a colour before it was clamped at zero."""
    return tl.where(value > 0, grad * weight, 0.0)


@triton.jit
def _store_three(out, a, b, c, mask):
    tl.store(out, a, mask=mask)
    tl.store(out + 1, b, mask=mask)
    tl.store(out + 2, c, mask=mask)


@triton.jit
def _from_local(row, k: tl.constexpr, x, y, z):
    """Number k of W^T (x, y, z) for W = S^-1 R^T."""
    a, b, c = tl.load(row + LOCAL + k), tl.load(row + LOCAL + 3 + k), tl.load(row + LOCAL + 6 + k)
    return a * x + b * y + c * z


@triton.jit
def _of_ray(row, tau, qx, qy, qz, gx, gy, gz, to_log_alpha, to_tau, opens):
    """Gradients of a ray's origin and unit direction from one hit; zeros where not ``opens``."""
    h = to_tau / (gx * gx + gy * gy + gz * gz)
    x, y, z = -to_log_alpha * qx - h * gx, -to_log_alpha * qy - h * gy, -to_log_alpha * qz - h * gz
    x, y, z = tl.where(opens, x, 0.0), tl.where(opens, y, 0.0), tl.where(opens, z, 0.0)
    u, v, w = tl.where(opens, h * qx, 0.0), tl.where(opens, h * qy, 0.0), tl.where(opens, h * qz, 0.0)
    tau = tl.where(opens, tau, 0.0)
    u, v, w = tau * x - u, tau * y - v, tau * z - w
    return (
        _from_local(row, 0, x, y, z), _from_local(row, 1, x, y, z), _from_local(row, 2, x, y, z),
        _from_local(row, 0, u, v, w), _from_local(row, 1, u, v, w), _from_local(row, 2, u, v, w),
    )  # fmt: skip


@triton.jit(do_not_specialize=["leaves", "bits", "width", "m"])
def replay_rays(
    tree, order, frames, depths, rays, features, hits, starts, remaining, upstream, visible,
    gaussian_index, ray_index, weights, to_log_alphas, tints, of_rays,
    leaves, bits, width, m, stride, channels,
    DEGREE: tl.constexpr, ORDERED: tl.constexpr, WITH_RAYS: tl.constexpr, TILED: tl.constexpr,
    K: tl.constexpr, RAYS: tl.constexpr,
):  # fmt: skip
    """Write a record of each hit, and the gradients of the rays.

    Args:
        features: as in blend_rays.
        hits, starts: [m] int32 number of hits of each ray, and index of its first record.
        remaining: [m] float64 the results times their gradients.
        upstream: [m, channels + 2] gradients of the image, of alpha and of the distance.
        gaussian_index, ray_index: int32 Gaussian and ray of each record, written; should a ray meet fewer
            hits than before, the rest stays as it is.
        weights, to_log_alphas: of each record, written; the latter is alpha dL/dalpha, 0 where it is clamped.
        tints: [.., 3] gradient of each record's colour, if there are harmonics.
        of_rays: [m, 6] gradients of origins and unit directions, written if WITH_RAYS.
    """
    j, here = rays_of_program(width, m, TILED, RAYS)
    ox, oy, oz, dx, dy, dz, near, far = ray_of(rays, j)
    ends = tl.load(hits + j, mask=here, other=0)
    first, behind = tl.load(starts + j), tl.load(remaining + j)
    grad = upstream + j * (channels + 2)
    of_alpha, of_distance = tl.load(grad + channels), tl.load(grad + channels + 1).to(tl.float64)
    transmittance = tl.full([1, RAYS], 1.0, tl.float32)
    done = tl.zeros([1, RAYS], tl.int32)
    to_ox = tl.zeros([1, RAYS], tl.float64)
    to_oy = tl.zeros([1, RAYS], tl.float64)
    to_oz = tl.zeros([1, RAYS], tl.float64)
    to_dx = tl.zeros([1, RAYS], tl.float64)
    to_dy = tl.zeros([1, RAYS], tl.float64)
    to_dz = tl.zeros([1, RAYS], tl.float64)
    last = tl.full([1, RAYS], BEFORE_ALL, tl.int64)
    live = done < ends
    while tl.max(live.to(tl.int32)) > 0:
        keys, shares, last = next_hits(
            tree, order, frames, depths, visible, leaves, bits, ox, oy, oz, dx, dy, dz, near, far, last, live,
            ORDERED, K, RAYS,
        )  # fmt: skip
        for _ in range(K):
            key, share, keys = nearest_of(keys, shares)
            opens = (key < NOTHING) & (done < ends)
            i = tl.where(opens, index_of(key, bits), 0)
            row, own = frames + i.to(tl.int64) * ROW, features + i.to(tl.int64) * stride
            tau, qx, qy, qz, gx, gy, gz = response(row, ox, oy, oz, dx, dy, dz)
            weight = share * transmittance
            value = of_alpha + (of_distance * tau).to(tl.float32)
            record = tl.where(opens, first + done, 0)
            if DEGREE >= 0:
                inverse, x, y, z = direction_to(row, ox, oy, oz)
                red, green, blue = sum_of_harmonics(own, x, y, z, DEGREE)
                value += tl.load(grad) * tl.maximum(red, 0.0)
                value += tl.load(grad + 1) * tl.maximum(green, 0.0)
                value += tl.load(grad + 2) * tl.maximum(blue, 0.0)
                red = _to_colour(red, tl.load(grad), weight)
                green = _to_colour(green, tl.load(grad + 1), weight)
                blue = _to_colour(blue, tl.load(grad + 2), weight)
                _store_three(tints + 3 * record, red, green, blue, opens)
            else:
                for channel in range(channels):
                    value += tl.load(grad + channel) * tl.load(own + channel)
            after = behind - (weight * value).to(tl.float64)
            odds = share / (1.0 - share)
            to_log_alpha = weight * value - (after * odds).to(tl.float32)
            to_log_alpha = tl.where(share < ALPHA_MAX, to_log_alpha, 0.0)
            tl.store(gaussian_index + record, i, mask=opens)
            tl.store(ray_index + record, j, mask=opens)
            tl.store(weights + record, weight, mask=opens)
            tl.store(to_log_alphas + record, to_log_alpha, mask=opens)
            if WITH_RAYS:
                pulled, to_tau = to_log_alpha.to(tl.float64), weight * of_distance
                to_x, to_y, to_z, along_x, along_y, along_z = _of_ray(
                    row, tau, qx, qy, qz, gx, gy, gz, pulled, to_tau, opens
                )
                to_ox, to_oy, to_oz = to_ox + to_x, to_oy + to_y, to_oz + to_z
                to_dx, to_dy, to_dz = to_dx + along_x, to_dy + along_y, to_dz + along_z
                if DEGREE > 0:
                    cx, cy, cz = slope_of_harmonics(own, inverse, x, y, z, red, green, blue, DEGREE)
                    to_ox, to_oy = to_ox - tl.where(opens, cx, 0.0), to_oy - tl.where(opens, cy, 0.0)
                    to_oz -= tl.where(opens, cz, 0.0)
            behind = tl.where(opens, after, behind)
            transmittance = tl.where(opens, transmittance - weight, transmittance)
            done += opens.to(tl.int32)
        live = live & (last < NOTHING) & (done < ends)
    if WITH_RAYS:
        out = of_rays + 6 * j
        _store_three(out, to_ox.to(tl.float32), to_oy.to(tl.float32), to_oz.to(tl.float32), here)
        _store_three(out + 3, to_dx.to(tl.float32), to_dy.to(tl.float32), to_dz.to(tl.float32), here)
