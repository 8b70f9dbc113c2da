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
    # The root's derivative at zero is infinite, and zero times that would be NaN.
    return vectors * torch.where(length2 == 0, 1.0, length2).rsqrt() * (length2 != 0)


def rotation_from_quats(quats: Tensor) -> Tensor:
    """Rotation matrices of quaternions.

    Args:
        quats: [n, 4] as (w, x, y, z), any non-zero length.

    Returns:
        [n, 3, 3] rotations; NaN for a quaternion of zeros, which stands for none.

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
