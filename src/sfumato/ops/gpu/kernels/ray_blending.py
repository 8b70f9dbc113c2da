"""Blending along rays, a ray per lane, and the colours of Gaussians seen from a ray's origin."""

import triton
import triton.language as tl

from sfumato.ops.gpu.kernels.harmonics import basis_slope, basis_value
from sfumato.ops.gpu.kernels.hulls import ROW
from sfumato.ops.gpu.kernels.ray_walk import (
    BEFORE_ALL,
    NOTHING,
    STOP,
    distance_of,
    index_of,
    nearest_of,
    next_hits,
    rays_of_program,
    response,
)

# Numbers of a ray: origin, unit direction, near and far distance. One without hits has no distances between.
RAY = tl.constexpr(8)


@triton.jit
def ray_of(rays, j):
    """Origin, direction and limits of rays."""
    at = rays + j.to(tl.int64) * RAY
    return (
        tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3),
        tl.load(at + 4), tl.load(at + 5), tl.load(at + 6), tl.load(at + 7),
    )  # fmt: skip


@triton.jit
def direction_to(row, ox, oy, oz):
    """1 / distance and the unit direction from an origin to a mean; zeros at the mean itself."""
    x, y, z = tl.load(row) - ox, tl.load(row + 1) - oy, tl.load(row + 2) - oz
    squared = x * x + y * y + z * z
    inverse = tl.where(squared > 0, 1.0 / tl.sqrt(squared), 0.0)
    return (
        inverse.to(tl.float32), (x * inverse).to(tl.float32),
        (y * inverse).to(tl.float32), (z * inverse).to(tl.float32),
    )  # fmt: skip


@triton.jit
def sum_of_harmonics(features, x, y, z, DEGREE: tl.constexpr):
    """Colours of spherical harmonics in a direction, before they are clamped at zero."""
    red = tl.zeros_like(x) + 0.5
    green, blue = red, red
    for k in tl.static_range((DEGREE + 1) * (DEGREE + 1)):
        value = basis_value(k, x, y, z)
        red += value * tl.load(features + 3 * k)
        green += value * tl.load(features + 3 * k + 1)
        blue += value * tl.load(features + 3 * k + 2)
    return red, green, blue


@triton.jit
def slope_of_harmonics(features, inverse, x, y, z, red, green, blue, DEGREE: tl.constexpr):
    """Gradient of a mean through its colour, from that of the colour."""
    g_x, g_y, g_z = tl.zeros_like(x), tl.zeros_like(x), tl.zeros_like(x)
    for k in tl.static_range(1, (DEGREE + 1) * (DEGREE + 1)):
        product = red * tl.load(features + 3 * k) + green * tl.load(features + 3 * k + 1)
        product += blue * tl.load(features + 3 * k + 2)
        s_x, s_y, s_z = basis_slope(k, x, y, z)
        g_x += product * s_x
        g_y += product * s_y
        g_z += product * s_z
    radial = g_x * x + g_y * y + g_z * z
    return (g_x - radial * x) * inverse, (g_y - radial * y) * inverse, (g_z - radial * z) * inverse


@triton.jit(do_not_specialize=["leaves", "bits", "width", "m"])
def blend_rays(
    tree, order, frames, depths, rays, features, image, alphas, distances, hits, visible,
    leaves, bits, width, m, stride, first, columns,
    CHANNELS: tl.constexpr, DEGREE: tl.constexpr, ORDERED: tl.constexpr, TILED: tl.constexpr,
    K: tl.constexpr, RAYS: tl.constexpr,
):  # fmt: skip
    """Blend 1 to 4 channels along each ray, without a background.

    Args:
        features: [n, stride] values, of which CHANNELS from ``first`` on; or spherical harmonics of DEGREE 0
            or more, evaluated from each ray's origin.
        image: [m, columns], written in the same channels.
        alphas, distances, hits: [m], written; the latter are int32 numbers of hits.
        visible: [n] uint8, set to 1 for each Gaussian that may have been hit.
    """
    j, here = rays_of_program(width, m, TILED, RAYS)
    ox, oy, oz, dx, dy, dz, near, far = ray_of(rays, j)
    transmittance = tl.full([1, RAYS], 1.0, tl.float32)
    covered = tl.zeros([1, RAYS], tl.float32)
    reached = tl.zeros([1, RAYS], tl.float32)
    count = tl.zeros([1, RAYS], tl.int32)
    sum_0 = tl.zeros([1, RAYS], tl.float32)
    sum_1 = tl.zeros([1, RAYS], tl.float32)
    sum_2 = tl.zeros([1, RAYS], tl.float32)
    sum_3 = tl.zeros([1, RAYS], tl.float32)
    last = tl.full([1, RAYS], BEFORE_ALL, tl.int64)
    live = here & (near <= far)
    while tl.max(live.to(tl.int32)) > 0:
        keys, shares, last = next_hits(
            tree, order, frames, depths, visible, leaves, bits, ox, oy, oz, dx, dy, dz, near, far, last, live,
            ORDERED, K, RAYS,
        )  # fmt: skip
        live = live & (last < NOTHING)
        opens = here
        for _ in range(K):
            key, share, keys = nearest_of(keys, shares)
            weight = share * transmittance
            passing = transmittance - weight
            # A ray stops before the Gaussian that would make it opaque.
            live = live & ((passing > STOP) | (key >= NOTHING))
            opens = opens & (key < NOTHING) & (passing > STOP)
            i = tl.where(opens, index_of(key, bits), 0)
            row = frames + i.to(tl.int64) * ROW
            weight = tl.where(opens, weight, 0.0)
            covered += weight
            own = features + i.to(tl.int64) * stride + first
            if DEGREE >= 0:
                _, x, y, z = direction_to(row, ox, oy, oz)
                red, green, blue = sum_of_harmonics(own, x, y, z, DEGREE)
                sum_0 += tl.where(opens, weight * tl.maximum(red, 0.0), 0.0)
                sum_1 += tl.where(opens, weight * tl.maximum(green, 0.0), 0.0)
                sum_2 += tl.where(opens, weight * tl.maximum(blue, 0.0), 0.0)
            else:
                sum_0 += weight * tl.load(own, mask=opens, other=0.0)
                if CHANNELS > 1:
                    sum_1 += weight * tl.load(own + 1, mask=opens, other=0.0)
                if CHANNELS > 2:
                    sum_2 += weight * tl.load(own + 2, mask=opens, other=0.0)
                if CHANNELS > 3:
                    sum_3 += weight * tl.load(own + 3, mask=opens, other=0.0)
            tau = distance_of(key, bits)
            if ORDERED:
                tau, _, _, _, _, _, _ = response(row, ox, oy, oz, dx, dy, dz)
            reached += tl.where(opens, weight * tau.to(tl.float32), 0.0)
            transmittance = tl.where(opens, passing, transmittance)
            count += opens.to(tl.int32)
    out = image + j * columns + first
    tl.store(out, sum_0, mask=here)
    if CHANNELS > 1:
        tl.store(out + 1, sum_1, mask=here)
    if CHANNELS > 2:
        tl.store(out + 2, sum_2, mask=here)
    if CHANNELS > 3:
        tl.store(out + 3, sum_3, mask=here)
    tl.store(alphas + j, covered, mask=here)
    tl.store(distances + j, reached, mask=here)
    tl.store(hits + j, count, mask=here)
