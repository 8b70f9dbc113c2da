"""The hull of each Gaussian: its frame and its box for rays, and the last step of the gradient of rays.

The hull is the ellipsoid inside which alpha reaches ALPHA_MIN. All computations are in float64: Gaussians
may be a millionth as thick as they are wide.
"""

import triton
import triton.language as tl

from sfumato.ops import constants

ALPHA_MIN = tl.constexpr(constants.ALPHA_MIN)
INFINITE = tl.constexpr(float("inf"))
# Columns of a Gaussian's row: centre; rows of S^-1 R^T; squared Mahalanobis radius of the hull; opacity.
LOCAL, LIMIT, OPACITY, ROW = tl.constexpr(3), tl.constexpr(12), tl.constexpr(13), tl.constexpr(16)
# Columns of a node: lowest x, y, z; highest x, y, z; lowest and highest depth where all rays share an order.
HIGHEST, DEPTHS, NODE = tl.constexpr(3), tl.constexpr(6), tl.constexpr(8)
# Columns of a Gaussian's sums over rays, see ray_sums: v; N as (xx, xy, xz, yy, yz, zz); gradient to log
# alpha; that of the mean through its colour; length of that of the mean.
N, LOG_ALPHA, THROUGH_COLOUR, LENGTH = tl.constexpr(3), tl.constexpr(9), tl.constexpr(10), tl.constexpr(13)
# Relative margins by which boxes grow: more than the roundings to float32.
ROUND, GROW = tl.constexpr(1.3e-7), tl.constexpr(1e-6)


@triton.jit
def _three(pointer, i):
    at = pointer + 3 * i
    return tl.load(at).to(tl.float64), tl.load(at + 1).to(tl.float64), tl.load(at + 2).to(tl.float64)


@triton.jit
def _four(quats, i):
    at = quats + 4 * i
    return (
        tl.load(at).to(tl.float64), tl.load(at + 1).to(tl.float64),
        tl.load(at + 2).to(tl.float64), tl.load(at + 3).to(tl.float64),
    )  # fmt: skip


@triton.jit
def _finite(a, b, c):
    return (tl.abs(a) < INFINITE) & (tl.abs(b) < INFINITE) & (tl.abs(c) < INFINITE)


@triton.jit
def _store_frame(row, s0, s1, s2, w, x, y, z, here):
    """Rows of S^-1 R^T of a unit quaternion."""
    a, b, c = 1.0 / s0, 1.0 / s1, 1.0 / s2
    tl.store(row + LOCAL, a * (1.0 - 2.0 * (y * y + z * z)), mask=here)
    tl.store(row + LOCAL + 1, a * 2.0 * (x * y + w * z), mask=here)
    tl.store(row + LOCAL + 2, a * 2.0 * (x * z - w * y), mask=here)
    tl.store(row + LOCAL + 3, b * 2.0 * (x * y - w * z), mask=here)
    tl.store(row + LOCAL + 4, b * (1.0 - 2.0 * (x * x + z * z)), mask=here)
    tl.store(row + LOCAL + 5, b * 2.0 * (y * z + w * x), mask=here)
    tl.store(row + LOCAL + 6, c * 2.0 * (x * z + w * y), mask=here)
    tl.store(row + LOCAL + 7, c * 2.0 * (y * z - w * x), mask=here)
    tl.store(row + LOCAL + 8, c * (1.0 - 2.0 * (x * x + y * y)), mask=here)


@triton.jit
def _store_side(box, centre, spread, limit, seen, here):
    """The box along one axis: lowest, and negated highest; infinite if nothing is there."""
    half = tl.sqrt(limit * spread) * (1.0 + GROW)
    low, high = centre - half, centre + half
    low, high = (low - tl.abs(low) * ROUND).to(tl.float32), (high + tl.abs(high) * ROUND).to(tl.float32)
    tl.store(box, tl.where(seen, low, INFINITE), mask=here)
    tl.store(box + HIGHEST, tl.where(seen, -high, INFINITE), mask=here)


@triton.jit(do_not_specialize=["n"])
def hull_rows(
    order, means, quats, scales, opacities, eye, depths, frames, tree, n,
    ORDERED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the row of the Gaussian of each of ``n`` leaves, and the leaf with its highest values negated.

    Args:
        order: [n] int32 Gaussian of each leaf, or -1.
        eye: [3] point that both results are relative to.
        depths: [g] of each Gaussian, if ORDERED.
        frames: [g, ROW] float64, written.
        tree: [n, NODE], written; infinite for a Gaussian that cannot be seen.
    """
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = k < n
    own = tl.load(order + k, mask=here, other=-1)
    i = tl.maximum(own, 0)
    m0, m1, m2 = _three(means, i)
    s0, s1, s2 = _three(scales, i)
    w, x, y, z = _four(quats, i)
    opacity = tl.load(opacities + i).to(tl.float64)
    length2 = w * w + x * x + y * y + z * z
    seen = (own >= 0) & _finite(m0, m1, m2) & _finite(s0, s1, s2) & (s0 > 0) & (s1 > 0) & (s2 > 0)
    seen = seen & (length2 > 0) & (length2 < INFINITE) & (opacity > ALPHA_MIN) & (opacity < INFINITE)
    inverse = 1.0 / tl.sqrt(tl.where(seen, length2, 1.0))
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    s0, s1, s2 = tl.where(seen, s0, 1.0), tl.where(seen, s1, 1.0), tl.where(seen, s2, 1.0)
    m0, m1, m2 = m0 - tl.load(eye), m1 - tl.load(eye + 1), m2 - tl.load(eye + 2)
    limit = 2.0 * tl.log((tl.where(seen, opacity, 1.0) / ALPHA_MIN).to(tl.float32)).to(tl.float64)
    row, there = frames + i.to(tl.int64) * ROW, here & (own >= 0)
    tl.store(row, m0, mask=there)
    tl.store(row + 1, m1, mask=there)
    tl.store(row + 2, m2, mask=there)
    _store_frame(row, s0, s1, s2, w, x, y, z, there)
    tl.store(row + LIMIT, tl.where(seen, limit, -INFINITE), mask=there)
    tl.store(row + OPACITY, opacity, mask=there)
    v0, v1, v2 = s0 * s0, s1 * s1, s2 * s2
    r00, r01, r02 = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)
    r10, r11, r12 = 2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)
    r20, r21, r22 = 2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)
    box = tree + k * NODE
    _store_side(box, m0, r00 * r00 * v0 + r01 * r01 * v1 + r02 * r02 * v2, limit, seen, here)
    _store_side(box + 1, m1, r10 * r10 * v0 + r11 * r11 * v1 + r12 * r12 * v2, limit, seen, here)
    _store_side(box + 2, m2, r20 * r20 * v0 + r21 * r21 * v1 + r22 * r22 * v2, limit, seen, here)
    depth = tl.load(depths + i) if ORDERED else 0.0
    tl.store(box + DEPTHS, tl.where(seen, depth, INFINITE), mask=here)
    tl.store(box + DEPTHS + 1, tl.where(seen, -depth, INFINITE), mask=here)


@triton.jit(do_not_specialize=["n"])
def hull_gradients(
    moments, frames, quats, scales, to_means, to_quats, to_scales, to_opacities, to_lengths, n,
    ABSOLUTE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Turn the sums of each Gaussian over its hits into gradients; zeros in ``moments`` give zeros.

    dL/dmu = -W^T sum v with W = S^-1 R^T; dL/ds_j = -N_jj / s_j; a rotation R (I + [w]x) gives
    -<N, S^-1 [w]x S>.

    Args:
        moments: [n, ROW] float64 sums.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    row, sums = frames + i.to(tl.int64) * ROW, moments + i.to(tl.int64) * ROW
    some = here & (tl.load(row + LIMIT) > 0)
    v0 = tl.load(sums, mask=some, other=0.0)
    v1, v2 = tl.load(sums + 1, mask=some, other=0.0), tl.load(sums + 2, mask=some, other=0.0)
    for k in tl.static_range(3):
        through = tl.load(row + LOCAL + k, mask=some, other=0.0) * v0
        through += tl.load(row + LOCAL + 3 + k, mask=some, other=0.0) * v1
        through += tl.load(row + LOCAL + 6 + k, mask=some, other=0.0) * v2
        to_mean = tl.load(sums + THROUGH_COLOUR + k) - through
        tl.store(to_means + 3 * i + k, to_mean.to(tl.float32), mask=here)
    s0, s1, s2 = _three(scales, i)
    s0, s1, s2 = tl.where(some, s0, 1.0), tl.where(some, s1, 1.0), tl.where(some, s2, 1.0)
    tl.store(to_scales + 3 * i, (-tl.load(sums + N) / s0).to(tl.float32), mask=here)
    tl.store(to_scales + 3 * i + 1, (-tl.load(sums + N + 3) / s1).to(tl.float32), mask=here)
    tl.store(to_scales + 3 * i + 2, (-tl.load(sums + N + 5) / s2).to(tl.float32), mask=here)
    opacity = tl.where(some, tl.load(row + OPACITY), 1.0)
    tl.store(to_opacities + i, (tl.load(sums + LOG_ALPHA) / opacity).to(tl.float32), mask=here)
    # Twice the gradient to the rotation w, because a unit quaternion changes by half of q (0, w).
    tx = 2.0 * tl.load(sums + N + 4) * (s2 / s1 - s1 / s2)
    ty = 2.0 * tl.load(sums + N + 2) * (s0 / s2 - s2 / s0)
    tz = 2.0 * tl.load(sums + N + 1) * (s1 / s0 - s0 / s1)
    w, x, y, z = _four(quats, i)
    w, x, y, z = (
        tl.where(some, w, 1.0),
        tl.where(some, x, 0.0),
        tl.where(some, y, 0.0),
        tl.where(some, z, 0.0),
    )
    inverse = 1.0 / (w * w + x * x + y * y + z * z)
    tl.store(to_quats + 4 * i, ((-x * tx - y * ty - z * tz) * inverse).to(tl.float32), mask=here)
    tl.store(to_quats + 4 * i + 1, ((w * tx - z * ty + y * tz) * inverse).to(tl.float32), mask=here)
    tl.store(to_quats + 4 * i + 2, ((z * tx + w * ty - x * tz) * inverse).to(tl.float32), mask=here)
    tl.store(to_quats + 4 * i + 3, ((-y * tx + x * ty + w * tz) * inverse).to(tl.float32), mask=here)
    if ABSOLUTE:
        tl.store(to_lengths + i, tl.load(sums + LENGTH).to(tl.float32), mask=here)
