"""Symmetric 3x3 matrices, packed as (xx, xy, xz, yy, yz, zz)."""

import torch
from torch import Tensor


def pack_symmetric(matrices: Tensor) -> Tensor:
    """Upper triangle of symmetric matrices.

    Args:
        matrices: [..., 3, 3]; only the upper triangle is read.

    Returns:
        [..., 6] as (xx, xy, xz, yy, yz, zz).

    Gradients: matrices; they arrive in the upper triangle.
    """
    return matrices[..., (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)]


def unpack_symmetric(packed: Tensor) -> Tensor:
    """Full matrices of packed ones, the inverse of :func:`pack_symmetric`.

    Args:
        packed: [..., 6] as (xx, xy, xz, yy, yz, zz).

    Returns:
        [..., 3, 3] symmetric matrices.

    Gradients: packed.
    """
    return packed[..., (0, 1, 2, 1, 3, 4, 2, 4, 5)].unflatten(-1, (3, 3))


def covariance_matrices(rotations: Tensor, scales: Tensor) -> Tensor:
    """Covariances R S S^T R^T of Gaussians.

    Args:
        rotations: [n, 3, 3] world_from_local.
        scales: [n, 3] standard deviations along the local axes.

    Returns:
        [n, 3, 3] symmetric positive semi-definite matrices, scene units squared.

    Gradients: rotations, scales.
    """
    factors = rotations * scales.unsqueeze(-2)
    return factors @ factors.transpose(-1, -2)


def determinant_2x2(packed: Tensor) -> Tensor:
    """Determinants of symmetric 2x2 matrices.

    Args:
        packed: [n, 3] as (xx, xy, yy).

    Returns:
        [n] determinants.

    Gradients: packed.
    """
    xx, xy, yy = torch.unbind(packed, -1)
    return xx * yy - xy * xy
