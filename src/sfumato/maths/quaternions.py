"""Quaternions as (w, x, y, z); any length, normalised where they are used. n: rows."""

import torch
from torch import Tensor


def normalised(vectors: Tensor) -> Tensor:
    """Scale each row to length one.

    Args:
        vectors: [n, d] rows of any length.

    Returns:
        [n, d] unit rows; a row of zeros stays zero, one with NaN or infinity becomes NaN.

    Gradients: vectors, as (I - v v^T) / length; zero for a row of zeros.
    """
    length2 = (vectors * vectors).sum(-1, keepdim=True)
    # The square root's derivative at zero is infinite, and zero times that would be NaN.
    return vectors * torch.where(length2 == 0, 1.0, length2).rsqrt() * (length2 != 0)


def rotation_from_quats(quats: Tensor) -> Tensor:
    """Rotation matrices of quaternions.

    Args:
        quats: [n, 4] as (w, x, y, z), any non-zero length.

    Returns:
        [n, 3, 3] rotations; NaN for a quaternion of zeros, which represents no rotation.

    Gradients: quats, through the normalisation; zero for a quaternion of zeros.
    """
    is_zero = (quats == 0).all(-1, keepdim=True)
    w, x, y, z = torch.where(is_zero, torch.nan, normalised(quats)).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def quat_from_rotation(rotation: Tensor) -> Tensor:
    """Quaternions of rotation matrices: the eigenvector of the largest eigenvalue of a symmetric matrix,
    which is well defined for every angle.

    Args:
        rotation: [..., 3, 3].

    Returns:
        [..., 4] of length one as (w, x, y, z); of the two signs, the one whose largest component is positive.

    Source: Bar-Itzhack 2000.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in rotation.unbind(-2))
    rows = (
        (xx + yy + zz, zy - yz, xz - zx, yx - xy),
        (zy - yz, xx - yy - zz, xy + yx, xz + zx),
        (xz - zx, xy + yx, yy - xx - zz, yz + zy),
        (yx - xy, xz + zx, yz + zy, zz - xx - yy),
    )
    symmetric = torch.stack([torch.stack(row, -1) for row in rows], -2)
    quat = torch.linalg.eigh(symmetric).eigenvectors[..., -1]
    return quat * quat.gather(-1, quat.abs().argmax(-1, keepdim=True)).sign()


def quat_product(first: Tensor, second: Tensor) -> Tensor:
    """The quaternions of rotations by ``second`` followed by those by ``first``.

    Args:
        first: [..., 4] as (w, x, y, z).
        second: [..., 4] likewise; the two are broadcast.

    Returns:
        [..., 4], whose lengths are the products of the lengths.

    Gradients: first and second.
    """
    w, x, y, z = first.unbind(-1)
    a, b, c, d = second.unbind(-1)
    rows = (
        w * a - x * b - y * c - z * d,
        w * b + x * a + y * d - z * c,
        w * c - x * d + y * a + z * b,
        w * d + x * c - y * b + z * a,
    )
    return torch.stack(rows, -1)


def conjugate(quats: Tensor) -> Tensor:
    """The quaternions of the inverse rotations.

    Args:
        quats: [..., 4] as (w, x, y, z).

    Returns:
        [..., 4] as (w, -x, -y, -z), of the same lengths.

    Gradients: quats.
    """
    return quats * quats.new_tensor([1.0, -1.0, -1.0, -1.0])
