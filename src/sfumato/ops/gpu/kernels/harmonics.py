"""Spherical harmonics to colours, and the gradient, one Gaussian per lane; the basis is that of maths.sh."""

import triton
import triton.language as tl

from sfumato.maths import sh as definition

C0, C1 = tl.constexpr(definition.SH_C0), tl.constexpr(definition.SH_C1)
C2_XY, C2_ZZ = tl.constexpr(definition.SH_C2_XY), tl.constexpr(definition.SH_C2_ZZ)
C2_XX_YY = tl.constexpr(definition.SH_C2_XX_YY)
C3_XXX, C3_XYZ = tl.constexpr(definition.SH_C3_XXX), tl.constexpr(definition.SH_C3_XYZ)
C3_XZZ, C3_ZZZ = tl.constexpr(definition.SH_C3_XZZ), tl.constexpr(definition.SH_C3_ZZZ)
C3_ZXX_ZYY = tl.constexpr(definition.SH_C3_ZXX_ZYY)


@triton.jit
def _direction(means, centre, i):
    """1 / distance and the unit direction from the camera to a mean; zeros at the camera itself."""
    x = tl.load(means + 3 * i) - tl.load(centre)
    y = tl.load(means + 3 * i + 1) - tl.load(centre + 1)
    z = tl.load(means + 3 * i + 2) - tl.load(centre + 2)
    squared = x * x + y * y + z * z
    inverse = tl.where(squared > 0, 1.0 / tl.sqrt(squared), 0.0)
    return inverse, x * inverse, y * inverse, z * inverse


@triton.jit
def basis_value(k: tl.constexpr, x, y, z):
    """Basis function k in the unit direction (x, y, z)."""
    if k == 0:
        value = tl.zeros_like(x) + C0
    elif k == 1:
        value = -C1 * y
    elif k == 2:
        value = C1 * z
    elif k == 3:
        value = -C1 * x
    elif k == 4:
        value = C2_XY * x * y
    elif k == 5:
        value = -C2_XY * y * z
    elif k == 6:
        value = C2_ZZ * (3.0 * z * z - 1.0)
    elif k == 7:
        value = -C2_XY * x * z
    elif k == 8:
        value = C2_XX_YY * (x * x - y * y)
    elif k == 9:
        value = -C3_XXX * y * (3.0 * x * x - y * y)
    elif k == 10:
        value = C3_XYZ * x * y * z
    elif k == 11:
        value = -C3_XZZ * y * (5.0 * z * z - 1.0)
    elif k == 12:
        value = C3_ZZZ * z * (5.0 * z * z - 3.0)
    elif k == 13:
        value = -C3_XZZ * x * (5.0 * z * z - 1.0)
    elif k == 14:
        value = C3_ZXX_ZYY * z * (x * x - y * y)
    else:
        value = -C3_XXX * x * (x * x - 3.0 * y * y)
    return value


@triton.jit
def basis_slope(k: tl.constexpr, x, y, z):
    """Gradient of the polynomial of basis function k with respect to (x, y, z)."""
    nothing = tl.zeros_like(x)
    if k == 0:
        slope = nothing, nothing, nothing
    elif k == 1:
        slope = nothing, nothing - C1, nothing
    elif k == 2:
        slope = nothing, nothing, nothing + C1
    elif k == 3:
        slope = nothing - C1, nothing, nothing
    elif k == 4:
        slope = C2_XY * y, C2_XY * x, nothing
    elif k == 5:
        slope = nothing, -C2_XY * z, -C2_XY * y
    elif k == 6:
        slope = nothing, nothing, 6.0 * C2_ZZ * z
    elif k == 7:
        slope = -C2_XY * z, nothing, -C2_XY * x
    elif k == 8:
        slope = 2.0 * C2_XX_YY * x, -2.0 * C2_XX_YY * y, nothing
    elif k == 9:
        slope = -6.0 * C3_XXX * x * y, -3.0 * C3_XXX * (x * x - y * y), nothing
    elif k == 10:
        slope = C3_XYZ * y * z, C3_XYZ * x * z, C3_XYZ * x * y
    elif k == 11:
        slope = nothing, -C3_XZZ * (5.0 * z * z - 1.0), -10.0 * C3_XZZ * y * z
    elif k == 12:
        slope = nothing, nothing, C3_ZZZ * (15.0 * z * z - 3.0)
    elif k == 13:
        slope = -C3_XZZ * (5.0 * z * z - 1.0), nothing, -10.0 * C3_XZZ * x * z
    elif k == 14:
        slope = 2.0 * C3_ZXX_ZYY * x * z, -2.0 * C3_ZXX_ZYY * y * z, C3_ZXX_ZYY * (x * x - y * y)
    else:
        slope = -3.0 * C3_XXX * (x * x - y * y), 6.0 * C3_XXX * x * y, nothing
    return slope


@triton.jit(do_not_specialize=["n"])
def colour_forward(
    sh, means, centre, visible, colours, stride, offset, floor, n,
    COEFFICIENTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write max(floor, offset + sum) of the first COEFFICIENTS of each row; zeros where not visible.

    Args:
        stride: numbers in a row of sh, which is [n, k, 3].
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    seen = tl.load(visible + i) != 0
    _, x, y, z = _direction(means, centre, i)
    row = sh + i.to(tl.int64) * stride
    red = tl.zeros_like(x) + offset
    green, blue = red, red
    for k in tl.static_range(COEFFICIENTS):
        value = basis_value(k, x, y, z)
        red += value * tl.load(row + 3 * k, mask=seen, other=0.0)
        green += value * tl.load(row + 3 * k + 1, mask=seen, other=0.0)
        blue += value * tl.load(row + 3 * k + 2, mask=seen, other=0.0)
    tl.store(colours + 3 * i, tl.where(seen, tl.maximum(red, floor), 0.0), mask=here)
    tl.store(colours + 3 * i + 1, tl.where(seen, tl.maximum(green, floor), 0.0), mask=here)
    tl.store(colours + 3 * i + 2, tl.where(seen, tl.maximum(blue, floor), 0.0), mask=here)


@triton.jit(do_not_specialize=["n"])
def colour_backward(
    grad, colours, sh, means, centre, visible, to_sh, to_means, to_centre, stride, floor, n,
    COEFFICIENTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of coefficients and means, and each program's share of that of the camera centre.

    Args:
        to_sh: [n, k, 3] zeros, written for the coefficients in use.
        to_centre: [programs, 3], written.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    seen = (tl.load(visible + i) != 0) & here
    # A clamped colour has no gradient.
    red = tl.where(seen & (tl.load(colours + 3 * i) > floor), tl.load(grad + 3 * i), 0.0)
    green = tl.where(seen & (tl.load(colours + 3 * i + 1) > floor), tl.load(grad + 3 * i + 1), 0.0)
    blue = tl.where(seen & (tl.load(colours + 3 * i + 2) > floor), tl.load(grad + 3 * i + 2), 0.0)
    inverse, x, y, z = _direction(means, centre, i)
    row, out = sh + i.to(tl.int64) * stride, to_sh + i.to(tl.int64) * stride
    g_x, g_y, g_z = tl.zeros_like(x), tl.zeros_like(x), tl.zeros_like(x)
    for k in tl.static_range(COEFFICIENTS):
        value = basis_value(k, x, y, z)
        tl.store(out + 3 * k, value * red, mask=seen)
        tl.store(out + 3 * k + 1, value * green, mask=seen)
        tl.store(out + 3 * k + 2, value * blue, mask=seen)
        if k > 0:
            product = red * tl.load(row + 3 * k, mask=seen, other=0.0)
            product += green * tl.load(row + 3 * k + 1, mask=seen, other=0.0)
            product += blue * tl.load(row + 3 * k + 2, mask=seen, other=0.0)
            s_x, s_y, s_z = basis_slope(k, x, y, z)
            g_x += product * s_x
            g_y += product * s_y
            g_z += product * s_z
    radial = g_x * x + g_y * y + g_z * z
    g_x = tl.where(seen, (g_x - radial * x) * inverse, 0.0)
    g_y = tl.where(seen, (g_y - radial * y) * inverse, 0.0)
    g_z = tl.where(seen, (g_z - radial * z) * inverse, 0.0)
    tl.store(to_means + 3 * i, g_x, mask=here)
    tl.store(to_means + 3 * i + 1, g_y, mask=here)
    tl.store(to_means + 3 * i + 2, g_z, mask=here)
    share = to_centre + 3 * tl.program_id(0)
    tl.store(share, -tl.sum(g_x))
    tl.store(share + 1, -tl.sum(g_y))
    tl.store(share + 2, -tl.sum(g_z))
