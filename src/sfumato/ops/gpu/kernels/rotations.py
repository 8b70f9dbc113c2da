"""Quaternions and their rotations, one Gaussian per lane, and the gradients."""

import triton
import triton.language as tl


@triton.jit
def unit_quaternion(quats, i):
    """1 / length and the unit quaternion (w, x, y, z) of row ``i``, of any non-zero length."""
    w, x, y, z = (
        tl.load(quats + 4 * i),
        tl.load(quats + 4 * i + 1),
        tl.load(quats + 4 * i + 2),
        tl.load(quats + 4 * i + 3),
    )
    inverse = 1.0 / tl.sqrt(w * w + x * x + y * y + z * z)
    return inverse, w * inverse, x * inverse, y * inverse, z * inverse


@triton.jit
def rotation_rows(w, x, y, z):
    """The nine entries of the rotation of a unit quaternion, by rows."""
    return (
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y),
        2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
        2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y),
    )  # fmt: skip


@triton.jit
def to_unit_quaternion(w, x, y, z, g00, g01, g02, g10, g11, g12, g20, g21, g22):
    """Gradient of a unit quaternion from that of the entries of its rotation."""
    return (
        2.0 * (x * (g21 - g12) + y * (g02 - g20) + z * (g10 - g01)),
        2.0 * (y * (g01 + g10) + z * (g02 + g20) - 2.0 * x * (g11 + g22) + w * (g21 - g12)),
        2.0 * (x * (g01 + g10) + z * (g12 + g21) - 2.0 * y * (g00 + g22) + w * (g02 - g20)),
        2.0 * (x * (g02 + g20) + y * (g12 + g21) - 2.0 * z * (g00 + g11) + w * (g10 - g01)),
    )


@triton.jit
def through_normalisation(inverse, w, x, y, z, g_w, g_x, g_y, g_z):
    """Gradient of a quaternion from that of its normalised form: (I - q q^T) g / length."""
    along = w * g_w + x * g_x + y * g_y + z * g_z
    return (
        (g_w - along * w) * inverse,
        (g_x - along * x) * inverse,
        (g_y - along * y) * inverse,
        (g_z - along * z) * inverse,
    )
