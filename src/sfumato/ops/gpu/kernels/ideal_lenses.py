"""Ideal lenses, one camera point per lane: projection, its Jacobian, and the gradient."""

import math

import triton
import triton.language as tl

from sfumato.ops import constants

PINHOLE = tl.constexpr(0)
ORTHO = tl.constexpr(1)
FISHEYE = tl.constexpr(2)
TANGENT_MARGIN = tl.constexpr((constants.TANGENT_LIMIT - 1) / 2)
HALF_PI = tl.constexpr(math.pi / 2)
QUARTER_PI = tl.constexpr(math.pi / 4)
# tan(pi / 8), up to which the series of the arc tangent converges quickly, and its square.
SHORT = tl.constexpr(math.tan(math.pi / 8))
SHORT2 = tl.constexpr(math.tan(math.pi / 8) ** 2)
# Terms of that series and of its two derivatives: the remainder is below float32 rounding.
TERMS = tl.constexpr(13)


@triton.jit
def _with_term(f, f_1, f_2, u, k: tl.constexpr):
    """Horner's scheme for the series below and its derivatives, down to the term of u^k."""
    share: tl.constexpr = (1 - 2 * (k % 2)) / (2 * k + 1)
    f = f * u + share
    if k > 0:
        f_1 = f_1 * u + share * k
    if k > 1:
        f_2 = f_2 * u + share * k * (k - 1)
    return f, f_1, f_2


@triton.jit
def _series(u):
    """f(u) = atan(sqrt(u)) / sqrt(u) = sum (-u)^k / (2k + 1), f' and f'', for u up to SHORT2."""
    f, f_1, f_2 = tl.zeros_like(u), tl.zeros_like(u), tl.zeros_like(u)
    for j in tl.static_range(TERMS):
        f, f_1, f_2 = _with_term(f, f_1, f_2, u, TERMS - 1 - j)
    return f, f_1, f_2


@triton.jit
def _angle(r, z):
    """atan2(r, z) for r >= 0: by reflections to a tangent of at most tan(pi / 8)."""
    size = tl.abs(z)
    tangent = tl.minimum(r, size) / tl.maximum(r, size)
    shifted = tangent > SHORT
    tangent = tl.where(shifted, (tangent - 1.0) / (tangent + 1.0), tangent)
    f, _, _ = _series(tangent * tangent)
    angle = tangent * f + tl.where(shifted, QUARTER_PI, 0.0)
    angle = tl.where(r > size, HALF_PI - angle, angle)
    return tl.where(z < 0, 2.0 * HALF_PI - angle, angle)


@triton.jit
def _fisheye_terms(x, y, z):
    """s = theta / r, q = (ds/dx) / x and dq/d(r^2): by series near the axis, where closed forms cancel."""
    r2 = x * x + y * y
    close = (z > 0) & (r2 < z * z * SHORT2)
    inverse = 1.0 / tl.where(close, z, 1.0)
    inverse2 = inverse * inverse
    f, f_1, f_2 = _series(tl.where(close, r2, 0.0) * inverse2)
    safe_r2 = tl.where(close, 1.0, r2)
    r = tl.sqrt(safe_r2)
    distance2 = safe_r2 + z * z
    s = _angle(r, z) / r
    q = (z / distance2 - s) / safe_r2
    slope = -(z / (distance2 * distance2) + 1.5 * q) / safe_r2
    return (
        tl.where(close, f * inverse, s),
        tl.where(close, 2.0 * f_1 * inverse * inverse2, q),
        tl.where(close, 2.0 * f_2 * inverse * inverse2 * inverse2, slope),
    )


@triton.jit
def _clamped(tangent, focal, centre, size):
    """A tangent clamped to 1.3 half-fields, shifted by the principal point."""
    margin = TANGENT_MARGIN * size / focal
    return tl.minimum(tl.maximum(tangent, -centre / focal - margin), (size - centre) / focal + margin)


@triton.jit
def lens(x, y, z, fx, fy, cx, cy, wide, tall, MODEL: tl.constexpr):
    """The image point (u, v) of a camera point, and the two rows of the Jacobian."""
    nothing = tl.zeros_like(z)
    if MODEL == PINHOLE:
        u, v = fx * x / z + cx, fy * y / z + cy
        u_x, u_y, u_z = fx / z, nothing, -fx * _clamped(x / z, fx, cx, wide) / z
        v_x, v_y, v_z = nothing, fy / z, -fy * _clamped(y / z, fy, cy, tall) / z
    elif MODEL == ORTHO:
        u, v = fx * x + cx, fy * y + cy
        u_x, u_y, u_z = nothing + fx, nothing, nothing
        v_x, v_y, v_z = nothing, nothing + fy, nothing
    else:
        s, q, _ = _fisheye_terms(x, y, z)
        along_z = -1.0 / (x * x + y * y + z * z)
        u, v = fx * x * s + cx, fy * y * s + cy
        u_x, u_y, u_z = fx * (s + x * x * q), fx * x * y * q, fx * x * along_z
        v_x, v_y, v_z = fy * x * y * q, fy * (s + y * y * q), fy * y * along_z
    return u, v, u_x, u_y, u_z, v_x, v_y, v_z


@triton.jit
def lens_backward(
    x, y, z, fx, fy, cx, cy, wide, tall, g_u, g_v, u_x, u_y, u_z, v_x, v_y, v_z, MODEL: tl.constexpr
):
    """Gradient to a camera point from those to its image point and to the Jacobian there (u_x ... v_z)."""
    if MODEL == PINHOLE:
        inverse = 1.0 / z
        inverse2 = inverse * inverse
        tangent_x, tangent_y = x / z, y / z
        clamped_x, clamped_y = _clamped(tangent_x, fx, cx, wide), _clamped(tangent_y, fy, cy, tall)
        # The Jacobian's entries are fx / z, -fx t / z, and t = x / z only where it is not clamped.
        to_x = tl.where(clamped_x == tangent_x, u_z * fx * inverse2, 0.0)
        to_y = tl.where(clamped_y == tangent_y, v_z * fy * inverse2, 0.0)
        g_x = g_u * fx * inverse - to_x
        g_y = g_v * fy * inverse - to_y
        g_z = -(g_u * fx * x + g_v * fy * y) - (u_x * fx + v_y * fy)
        g_z = (g_z + u_z * fx * clamped_x + v_z * fy * clamped_y) * inverse2
        g_z += to_x * tangent_x + to_y * tangent_y
    elif MODEL == ORTHO:
        g_x, g_y, g_z = g_u * fx, g_v * fy, tl.zeros_like(z)
    else:
        s, q, slope = _fisheye_terms(x, y, z)
        a = -1.0 / (x * x + y * y + z * z)
        # With w = x dx + y dy: ds = q w + a dz, dq = 2 slope w + 2 a^2 dz, da = 2 a^2 (w + z dz).
        mixed = u_y * fx + v_x * fy
        to_s = g_u * fx * x + g_v * fy * y + u_x * fx + v_y * fy
        to_q = u_x * fx * x * x + mixed * x * y + v_y * fy * y * y
        to_a = u_z * fx * x + v_z * fy * y
        radial = to_s * q + 2.0 * to_q * slope + 2.0 * to_a * a * a
        g_x = fx * (g_u * s + 2.0 * u_x * x * q + u_z * a) + mixed * y * q + radial * x
        g_y = fy * (g_v * s + 2.0 * v_y * y * q + v_z * a) + mixed * x * q + radial * y
        g_z = to_s * a + 2.0 * (to_q + to_a * z) * a * a
    return g_x, g_y, g_z
