"""The second half of the gradient of rays: the records of each Gaussian's hits are added up, without atomics.

In the frame in which a Gaussian is the unit ball, W = S^-1 R^T, d_g = W d, y = W (o + tau d - mu), with
g = dL/dsigma and h = dL/dtau / |d_g|^2, the sums are v = g y - h d_g and N = g y y^T - h (d_g y^T + y d_g^T).
Records are sorted by Gaussian; one program adds up those of one, which keeps the same order in each run.
"""

import triton
import triton.language as tl

from sfumato.ops.gpu.kernels.harmonics import basis_value
from sfumato.ops.gpu.kernels.hulls import LENGTH, LOCAL, LOG_ALPHA, ROW, THROUGH_COLOUR, N
from sfumato.ops.gpu.kernels.ray_blending import RAY, direction_to, ray_of, slope_of_harmonics
from sfumato.ops.gpu.kernels.ray_walk import response


@triton.jit
def _add(out, value):
    tl.store(out, tl.load(out) + tl.sum(value))


@triton.jit
def _length_of_mean(row, vx, vy, vz):
    """Length of the gradient of the mean."""
    x = tl.load(row + LOCAL) * vx + tl.load(row + LOCAL + 3) * vy + tl.load(row + LOCAL + 6) * vz
    y = tl.load(row + LOCAL + 1) * vx + tl.load(row + LOCAL + 4) * vy + tl.load(row + LOCAL + 7) * vz
    z = tl.load(row + LOCAL + 2) * vx + tl.load(row + LOCAL + 5) * vy + tl.load(row + LOCAL + 8) * vz
    return tl.sqrt(x * x + y * y + z * z)


@triton.jit
def sum_hits(
    sorted_hits, starts, ray_index, weights, to_log_alphas, tints, rays, frames, features, upstream, moments,
    stride, channels,
    DEGREE: tl.constexpr, ABSOLUTE: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Add the records of one Gaussian to its row of ``moments``.

    Args:
        sorted_hits: int64 indices of records by Gaussian.
        starts: [n + 1] int32 start of each Gaussian's in ``sorted_hits``.
        moments: [n, ROW] float64, see hulls.
    """
    i = tl.program_id(0)
    start, end = tl.load(starts + i), tl.load(starts + i + 1)
    if start < end:
        row, own = frames + i.to(tl.int64) * ROW, features + i.to(tl.int64) * stride
        nothing = tl.zeros([LANES], tl.float64)
        v_x, v_y, v_z = nothing, nothing, nothing
        xx, xy, xz, yy, yz, zz = nothing, nothing, nothing, nothing, nothing, nothing
        total, length = nothing, nothing
        c_x = tl.zeros([LANES], tl.float32)
        c_y, c_z = c_x, c_x
        for at in range(start, end, LANES):
            place = at + tl.arange(0, LANES)
            mine = place < end
            record = tl.load(sorted_hits + place, mask=mine, other=0)
            j = tl.load(ray_index + record)
            ox, oy, oz, dx, dy, dz, _, _ = ray_of(rays, j)
            _, qx, qy, qz, gx, gy, gz = response(row, ox, oy, oz, dx, dy, dz)
            g = tl.where(mine, -tl.load(to_log_alphas + record), 0.0).to(tl.float64)
            weight = tl.where(mine, tl.load(weights + record), 0.0).to(tl.float64)
            to_tau = weight * tl.load(upstream + j * (channels + 2) + channels + 1)
            h = to_tau / (gx * gx + gy * gy + gz * gz)
            to_x, to_y, to_z = g * qx - h * gx, g * qy - h * gy, g * qz - h * gz
            v_x += to_x
            v_y += to_y
            v_z += to_z
            xx += g * qx * qx - 2.0 * h * gx * qx
            xy += g * qx * qy - h * (gx * qy + qx * gy)
            xz += g * qx * qz - h * (gx * qz + qx * gz)
            yy += g * qy * qy - 2.0 * h * gy * qy
            yz += g * qy * qz - h * (gy * qz + qy * gz)
            zz += g * qz * qz - 2.0 * h * gz * qz
            total -= g
            if ABSOLUTE:
                length += _length_of_mean(row, to_x, to_y, to_z)
            if DEGREE > 0:
                inverse, x, y, z = direction_to(row, ox, oy, oz)
                red = tl.load(tints + 3 * record, mask=mine, other=0.0)
                green = tl.load(tints + 3 * record + 1, mask=mine, other=0.0)
                blue = tl.load(tints + 3 * record + 2, mask=mine, other=0.0)
                s_x, s_y, s_z = slope_of_harmonics(own, inverse, x, y, z, red, green, blue, DEGREE)
                c_x += s_x
                c_y += s_y
                c_z += s_z
        out = moments + i.to(tl.int64) * ROW
        _add(out, v_x)
        _add(out + 1, v_y)
        _add(out + 2, v_z)
        _add(out + N, xx)
        _add(out + N + 1, xy)
        _add(out + N + 2, xz)
        _add(out + N + 3, yy)
        _add(out + N + 4, yz)
        _add(out + N + 5, zz)
        _add(out + LOG_ALPHA, total)
        if ABSOLUTE:
            _add(out + LENGTH, length)
        if DEGREE > 0:
            _add(out + THROUGH_COLOUR, c_x.to(tl.float64))
            _add(out + THROUGH_COLOUR + 1, c_y.to(tl.float64))
            _add(out + THROUGH_COLOUR + 2, c_z.to(tl.float64))


@triton.jit
def sum_values(
    sorted_hits, starts, ray_index, weights, upstream, to_features, columns,
    PADDED: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Add one Gaussian's gradients of its ``columns`` values."""
    i = tl.program_id(0)
    start, end = tl.load(starts + i), tl.load(starts + i + 1)
    if start < end:
        column = tl.arange(0, PADDED)
        total = tl.zeros([LANES, PADDED], tl.float32)
        for at in range(start, end, LANES):
            place = at + tl.arange(0, LANES)[:, None]
            record = tl.load(sorted_hits + place, mask=place < end, other=0)
            mine = (place < end) & (column[None, :] < columns)
            grad = tl.load(
                upstream + tl.load(ray_index + record) * (columns + 2) + column[None, :], mask=mine, other=0.0
            )
            total += tl.load(weights + record) * grad
        out = to_features + i.to(tl.int64) * columns + column
        tl.store(out, tl.load(out, mask=column < columns) + tl.sum(total, 0), mask=column < columns)


@triton.jit
def sum_harmonic(
    sorted_hits,
    starts,
    ray_index,
    tints,
    rays,
    frames,
    to_features,
    stride,
    K: tl.constexpr,
    LANES: tl.constexpr,
):
    """Add one Gaussian's gradients of its coefficients of basis function K."""
    i = tl.program_id(0)
    start, end = tl.load(starts + i), tl.load(starts + i + 1)
    if start < end:
        row = frames + i.to(tl.int64) * ROW
        red = tl.zeros([LANES], tl.float32)
        green, blue = red, red
        for at in range(start, end, LANES):
            place = at + tl.arange(0, LANES)
            record = tl.load(sorted_hits + place, mask=place < end, other=0)
            origin = rays + tl.load(ray_index + record).to(tl.int64) * RAY
            _, x, y, z = direction_to(row, tl.load(origin), tl.load(origin + 1), tl.load(origin + 2))
            value = tl.where(place < end, basis_value(K, x, y, z), 0.0)
            red += value * tl.load(tints + 3 * record)
            green += value * tl.load(tints + 3 * record + 1)
            blue += value * tl.load(tints + 3 * record + 2)
        out = to_features + i.to(tl.int64) * stride + 3 * K
        _add(out, red)
        _add(out + 1, green)
        _add(out + 2, blue)
