"""Contributions of points to the normal equations of the alignment of rigid bodies, one point per lane."""

import triton
import triton.language as tl

from sfumato.ops import constants

INVERSE2 = tl.constexpr(1.0 / constants.ALIGNMENT_TOLERANCE**2)
# Numbers of a row: the upper triangle of a 6x6 matrix and a vector of 6, padded to 16 bytes.
ROW = tl.constexpr(-(-constants.ALIGNMENT_ENTRIES // 4) * 4)


@triton.jit
def _times(matrix, stride: tl.constexpr, x, y, z):
    """A matrix in rows of ``stride`` numbers times a vector."""
    return (
        tl.load(matrix) * x + tl.load(matrix + 1) * y + tl.load(matrix + 2) * z,
        tl.load(matrix + stride) * x + tl.load(matrix + stride + 1) * y + tl.load(matrix + stride + 2) * z,
        tl.load(matrix + 2 * stride) * x
        + tl.load(matrix + 2 * stride + 1) * y
        + tl.load(matrix + 2 * stride + 2) * z,
    )


@triton.jit
def _sampled(image, at, run, a, b):
    """A bilinearly interpolated channel and its derivatives; ``run``: numbers in a row of the image."""
    first, second = tl.load(image + at), tl.load(image + at + 3)
    third, fourth = tl.load(image + at + run), tl.load(image + at + run + 3)
    top, bottom = first + a * (second - first), third + a * (fourth - third)
    across = (second - first) + b * (fourth - third - second + first)
    return top + b * (bottom - top), across, bottom - top


@triton.jit
def _motions(pose, p_x, p_y, p_z, a_x, a_y, a_z):
    """Derivatives of a pixel coordinate by shift and rotation, from those (p) by the point in the camera."""
    u_x = tl.load(pose) * p_x + tl.load(pose + 4) * p_y + tl.load(pose + 8) * p_z
    u_y = tl.load(pose + 1) * p_x + tl.load(pose + 5) * p_y + tl.load(pose + 9) * p_z
    u_z = tl.load(pose + 2) * p_x + tl.load(pose + 6) * p_y + tl.load(pose + 10) * p_z
    return u_x, u_y, u_z, a_y * u_z - a_z * u_y, a_z * u_x - a_x * u_z, a_x * u_y - a_y * u_x


@triton.jit
def _put_row(out, here, p, q, u, v, FROM: tl.constexpr):
    """The entries of one row of the upper triangle from column FROM on; ``out`` points to its column 0."""
    u_0, u_1, u_2, u_3, u_4, u_5 = u
    v_0, v_1, v_2, v_3, v_4, v_5 = v
    if FROM < 1:
        tl.store(out, p * u_0 + q * v_0, mask=here)
    if FROM < 2:
        tl.store(out + 1, p * u_1 + q * v_1, mask=here)
    if FROM < 3:
        tl.store(out + 2, p * u_2 + q * v_2, mask=here)
    if FROM < 4:
        tl.store(out + 3, p * u_3 + q * v_3, mask=here)
    if FROM < 5:
        tl.store(out + 4, p * u_4 + q * v_4, mask=here)
    tl.store(out + 5, p * u_5 + q * v_5, mask=here)


@triton.jit(do_not_specialize=["n"])
def point_equations(
    offsets, colours, weights, bodies, positions, rotations, image, pose, intrinsics, rows, wide, tall, run,
    n, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the row [ROW] of each point; zeros if it is behind the camera or outside the image.

    Args:
        bodies: [n] int32 body of each point.
        wide, tall: of the image, px, as floats; at least 2.
        run: numbers in a row of the image.
    """
    s = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = s < n
    s = tl.minimum(s, n - 1)
    body = tl.load(bodies + s)
    fx, fy = tl.load(intrinsics), tl.load(intrinsics + 4)
    cx, cy = tl.load(intrinsics + 2), tl.load(intrinsics + 5)
    a_x, a_y, a_z = tl.load(offsets + 3 * s), tl.load(offsets + 3 * s + 1), tl.load(offsets + 3 * s + 2)
    a_x, a_y, a_z = _times(rotations + 9 * body, 3, a_x, a_y, a_z)
    position = positions + 3 * body
    p_x, p_y, p_z = tl.load(position), tl.load(position + 1), tl.load(position + 2)
    x, y, z = _times(pose, 4, a_x + p_x, a_y + p_y, a_z + p_z)
    x, y, z = x + tl.load(pose + 3), y + tl.load(pose + 7), z + tl.load(pose + 11)
    seen = here & (z > 0)
    z = tl.where(seen, z, 1.0)
    across, down = fx * x / z + cx, fy * y / z + cy
    seen = seen & (across > 0.5) & (across < wide - 0.5) & (down > 0.5) & (down < tall - 0.5)
    across, down = tl.where(seen, across - 0.5, 0.0), tl.where(seen, down - 0.5, 0.0)
    column = tl.minimum(tl.floor(across), wide - 2.0)
    line = tl.minimum(tl.floor(down), tall - 2.0)
    a, b = across - column, down - line
    at = line.to(tl.int32) * run + 3 * column.to(tl.int32)
    # Over the channels: squares of the misfit, slopes times slopes, and slopes times misfit.
    zero = tl.zeros([BLOCK], tl.float32)
    squared, uu, uv, vv, ur, vr = zero, zero, zero, zero, zero, zero
    for channel in tl.static_range(3):
        colour, du, dv = _sampled(image, at + channel, run, a, b)
        misfit = colour - tl.load(colours + 3 * s + channel)
        squared += misfit * misfit
        uu, uv, vv = uu + du * du, uv + du * dv, vv + dv * dv
        ur, vr = ur + du * misfit, vr + dv * misfit
    weight = tl.where(seen, tl.load(weights + s) / (1.0 + squared * INVERSE2), 0.0)
    uu, uv, vv, ur, vr = weight * uu, weight * uv, weight * vv, weight * ur, weight * vr
    u_0, u_1, u_2, u_3, u_4, u_5 = _motions(pose, fx / z, zero, -fx * x / (z * z), a_x, a_y, a_z)
    v_0, v_1, v_2, v_3, v_4, v_5 = _motions(pose, zero, fy / z, -fy * y / (z * z), a_x, a_y, a_z)
    u, v = (u_0, u_1, u_2, u_3, u_4, u_5), (v_0, v_1, v_2, v_3, v_4, v_5)
    out = rows + s * ROW
    _put_row(out, here, uu * u_0 + uv * v_0, uv * u_0 + vv * v_0, u, v, 0)
    _put_row(out + 5, here, uu * u_1 + uv * v_1, uv * u_1 + vv * v_1, u, v, 1)
    _put_row(out + 9, here, uu * u_2 + uv * v_2, uv * u_2 + vv * v_2, u, v, 2)
    _put_row(out + 12, here, uu * u_3 + uv * v_3, uv * u_3 + vv * v_3, u, v, 3)
    _put_row(out + 14, here, uu * u_4 + uv * v_4, uv * u_4 + vv * v_4, u, v, 4)
    _put_row(out + 15, here, uu * u_5 + uv * v_5, uv * u_5 + vv * v_5, u, v, 5)
    _put_row(out + 21, here, ur, vr, u, v, 0)
