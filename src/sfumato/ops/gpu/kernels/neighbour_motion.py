"""Rigidity, rotation and isometry of neighbours, and the gradient, one Gaussian per lane.

Contributions to the gradients of neighbours are written as one row per edge, sorted by neighbour; the rows of
each neighbour are then summed in a fixed order.
"""

import triton
import triton.language as tl

from sfumato.ops import constants
from sfumato.ops.gpu.kernels.rotations import (
    rotation_rows,
    through_normalisation,
    to_unit_quaternion,
    unit_quaternion,
)

TOLERANCE = tl.constexpr(constants.MOTION_TOLERANCE)
TOLERANCE2 = tl.constexpr(constants.MOTION_TOLERANCE**2)
# Numbers of a state: mean, previous mean, rotation since the previous step.
STATE = tl.constexpr(10)
# Numbers of an edge's row: gradients to the neighbour's mean and turn, padded to 32 bytes.
EDGE = tl.constexpr(8)
# Avoids a division by zero for Gaussians at the same position.
TINY = tl.constexpr(1e-30)


@triton.jit
def _product(w, x, y, z, a, b, c, d):
    """Quaternion of a rotation by (a, b, c, d) followed by one by (w, x, y, z)."""
    return (
        w * a - x * b - y * c - z * d,
        w * b + x * a + y * d - z * c,
        w * c - x * d + y * a + z * b,
        w * d + x * c - y * b + z * a,
    )


@triton.jit(do_not_specialize=["n"])
def motion_states(means, quats, previous_means, previous_quats, states, n, BLOCK: tl.constexpr):
    """Write the state [n, STATE] of each Gaussian."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    _, w, x, y, z = unit_quaternion(quats, i)
    _, a, b, c, d = unit_quaternion(previous_quats, i)
    w, x, y, z = _product(w, x, y, z, a, -b, -c, -d)
    out = states + STATE * i
    for m in range(3):
        tl.store(out + m, tl.load(means + 3 * i + m), mask=here)
        tl.store(out + 3 + m, tl.load(previous_means + 3 * i + m), mask=here)
    tl.store(out + 6, w, mask=here)
    tl.store(out + 7, x, mask=here)
    tl.store(out + 8, y, mask=here)
    tl.store(out + 9, z, mask=here)


@triton.jit
def _state(states, i):
    s = states + STATE * i
    return (
        tl.load(s), tl.load(s + 1), tl.load(s + 2), tl.load(s + 3), tl.load(s + 4), tl.load(s + 5),
        tl.load(s + 6), tl.load(s + 7), tl.load(s + 8), tl.load(s + 9),
    )  # fmt: skip


@triton.jit
def _edge(neighbours, weights, rest, i, slot, columns):
    """The neighbour in a slot, its weight and its rest distance; i itself with zeros if there is none."""
    at = i * columns + slot
    j = tl.load(neighbours + at)
    is_edge = j >= 0
    weight, distance = tl.load(weights + at), tl.load(rest + at)
    return tl.where(is_edge, j, i), tl.where(is_edge, weight, 0.0), tl.where(is_edge, distance, 0.0)


@triton.jit
def _residuals(own, other, distance, scale):
    """Offset and length of an edge, residuals of rigidity (3), rotation (4) and isometry, and the sign."""
    o_x, o_y, o_z, b_x, b_y, b_z, w, x, y, z = own
    p_x, p_y, p_z, c_x, c_y, c_z, a, b, c, d = other
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation_rows(w, x, y, z)
    d_x, d_y, d_z = (p_x - o_x) * scale, (p_y - o_y) * scale, (p_z - o_z) * scale
    rigid_x = d_x * r00 + d_y * r10 + d_z * r20 - (c_x - b_x) * scale
    rigid_y = d_x * r01 + d_y * r11 + d_z * r21 - (c_y - b_y) * scale
    rigid_z = d_x * r02 + d_y * r12 + d_z * r22 - (c_z - b_z) * scale
    # q and -q are the same rotation.
    sign = tl.where(a * w + b * x + c * y + d * z < 0, -1.0, 1.0)
    length = tl.sqrt(d_x * d_x + d_y * d_y + d_z * d_z)
    return (
        d_x, d_y, d_z, length, rigid_x, rigid_y, rigid_z,
        a - sign * w, b - sign * x, c - sign * y, d - sign * z, length - distance * scale, sign,
    )  # fmt: skip


@triton.jit
def _charbonnier(squared):
    return squared / (tl.sqrt(squared + TOLERANCE2) + TOLERANCE)


@triton.jit(do_not_specialize=["n"])
def priors_forward(states, neighbours, weights, rest, scale_of, shares, columns, n, BLOCK: tl.constexpr):
    """Each program's share [3] of the sums of the priors.

    Args:
        scale_of: [] reciprocal of the length by which lengths are normalised.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    own, scale = _state(states, i), tl.load(scale_of)
    rigidity = tl.zeros([BLOCK], tl.float32)
    rotation = tl.zeros([BLOCK], tl.float32)
    isometry = tl.zeros([BLOCK], tl.float32)
    for slot in range(columns):
        j, weight, distance = _edge(neighbours, weights, rest, i, slot, columns)
        _, _, _, _, x, y, z, a, b, c, d, stretch, _ = _residuals(own, _state(states, j), distance, scale)
        rigidity += weight * _charbonnier(x * x + y * y + z * z)
        rotation += weight * _charbonnier(a * a + b * b + c * c + d * d)
        isometry += weight * _charbonnier(stretch * stretch)
    share = shares + 3 * tl.program_id(0)
    tl.store(share, tl.sum(tl.where(here, rigidity, 0.0)))
    tl.store(share + 1, tl.sum(tl.where(here, rotation, 0.0)))
    tl.store(share + 2, tl.sum(tl.where(here, isometry, 0.0)))


@triton.jit(do_not_specialize=["n"])
def priors_backward(
    states,
    neighbours,
    weights,
    rest,
    scale_of,
    factors,
    edge_rows,
    edges,
    totals,
    columns,
    n,
    BLOCK: tl.constexpr,
):
    """Contributions of each Gaussian to the gradients of its neighbours and to its own.

    Args:
        factors: [3] gradients of the priors over n.
        edge_rows: [n, columns] row of each edge in ``edges``, in the order of the neighbours.
        edges: [n * columns, EDGE], written: gradients to the neighbour's mean (times the scale) and turn.
        totals: [n, EDGE], written: the same of the Gaussian itself.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    own, scale = _state(states, i), tl.load(scale_of)
    _, _, _, _, _, _, w, x, y, z = own
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation_rows(w, x, y, z)
    zero = tl.zeros([BLOCK], tl.float32)
    m_x, m_y, m_z, t_w, t_x, t_y, t_z = zero, zero, zero, zero, zero, zero, zero
    g00, g01, g02, g10, g11, g12, g20, g21, g22 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for slot in range(columns):
        j, weight, distance = _edge(neighbours, weights, rest, i, slot, columns)
        d_x, d_y, d_z, length, e_x, e_y, e_z, a, b, c, d, stretch, sign = _residuals(
            own, _state(states, j), distance, scale
        )
        slope = weight * tl.load(factors) / tl.sqrt(e_x * e_x + e_y * e_y + e_z * e_z + TOLERANCE2)
        e_x, e_y, e_z = e_x * slope, e_y * slope, e_z * slope
        slope = weight * tl.load(factors + 1) / tl.sqrt(a * a + b * b + c * c + d * d + TOLERANCE2)
        a, b, c, d = a * slope, b * slope, c * slope, d * slope
        slope = weight * tl.load(factors + 2) / tl.sqrt(stretch * stretch + TOLERANCE2)
        slope = slope * stretch / (length + TINY)
        h_x = r00 * e_x + r01 * e_y + r02 * e_z + d_x * slope
        h_y = r10 * e_x + r11 * e_y + r12 * e_z + d_y * slope
        h_z = r20 * e_x + r21 * e_y + r22 * e_z + d_z * slope
        row = edges + tl.load(edge_rows + i * columns + slot).to(tl.int64) * EDGE
        tl.store(row, h_x, mask=here)
        tl.store(row + 1, h_y, mask=here)
        tl.store(row + 2, h_z, mask=here)
        tl.store(row + 3, a, mask=here)
        tl.store(row + 4, b, mask=here)
        tl.store(row + 5, c, mask=here)
        tl.store(row + 6, d, mask=here)
        m_x, m_y, m_z = m_x - h_x, m_y - h_y, m_z - h_z
        t_w, t_x, t_y, t_z = t_w - sign * a, t_x - sign * b, t_y - sign * c, t_z - sign * d
        g00, g01, g02 = g00 + d_x * e_x, g01 + d_x * e_y, g02 + d_x * e_z
        g10, g11, g12 = g10 + d_y * e_x, g11 + d_y * e_y, g12 + d_y * e_z
        g20, g21, g22 = g20 + d_z * e_x, g21 + d_z * e_y, g22 + d_z * e_z
    q_w, q_x, q_y, q_z = to_unit_quaternion(w, x, y, z, g00, g01, g02, g10, g11, g12, g20, g21, g22)
    out = totals + i * EDGE
    tl.store(out, m_x, mask=here)
    tl.store(out + 1, m_y, mask=here)
    tl.store(out + 2, m_z, mask=here)
    tl.store(out + 3, t_w + q_w, mask=here)
    tl.store(out + 4, t_x + q_x, mask=here)
    tl.store(out + 5, t_y + q_y, mask=here)
    tl.store(out + 6, t_z + q_z, mask=here)


@triton.jit(do_not_specialize=["n"])
def motion_gradients(
    totals, received, quats, previous_quats, scale_of, to_means, to_quats, n, BLOCK: tl.constexpr
):
    """Gradients of means and quaternions from the contributions of Gaussians to themselves and neighbours."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    row, other, scale = totals + i * EDGE, received + i * EDGE, tl.load(scale_of)
    for m in range(3):
        tl.store(to_means + 3 * i + m, (tl.load(row + m) + tl.load(other + m)) * scale, mask=here)
    t_w, t_x = tl.load(row + 3) + tl.load(other + 3), tl.load(row + 4) + tl.load(other + 4)
    t_y, t_z = tl.load(row + 5) + tl.load(other + 5), tl.load(row + 6) + tl.load(other + 6)
    inverse, w, x, y, z = unit_quaternion(quats, i)
    _, a, b, c, d = unit_quaternion(previous_quats, i)
    # The turn is q conj(p): its gradient times p is that of q.
    t_w, t_x, t_y, t_z = _product(t_w, t_x, t_y, t_z, a, b, c, d)
    t_w, t_x, t_y, t_z = through_normalisation(inverse, w, x, y, z, t_w, t_x, t_y, t_z)
    tl.store(to_quats + 4 * i, t_w, mask=here)
    tl.store(to_quats + 4 * i + 1, t_x, mask=here)
    tl.store(to_quats + 4 * i + 2, t_y, mask=here)
    tl.store(to_quats + 4 * i + 3, t_z, mask=here)
