"""Analytic gradients of the response along a ray, with respect to mean, covariance, rotation and scales.

``inverse`` [n, 3, 3] are inverse covariances and ``offset`` [m, n, 3] is x - mean, from the mean of a
Gaussian to its point of maximum on a ray. That point moves with every parameter, but sigma is minimal there
along the ray: d sigma / d tau = offset^T inverse direction = 0. Its gradient is therefore the same as for a
fixed point. The distance tau has other derivatives, given separately.
"""

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised


def d_sigma_d_mean(inverse: Tensor, offset: Tensor) -> Tensor:
    """Derivative of sigma with respect to the mean: -inverse @ offset; its negative for the ray's origin.

    Args:
        inverse: [n, 3, 3] inverse covariances.
        offset: [m, n, 3] from the mean to the point of maximum.

    Returns:
        [m, n, 3].

    Source: Deybach 2025, eq. 25 and 79 to 82.
    """
    return -torch.einsum("nij,mnj->mni", inverse, offset)


def d_sigma_d_inverse_covariance(offset: Tensor) -> Tensor:
    """Derivative of sigma with respect to the nine entries of the inverse covariance: offset offset^T / 2.

    Args:
        offset: [m, n, 3] from the mean to the point of maximum.

    Returns:
        [m, n, 3, 3].

    Source: Deybach 2025, eq. 76 to 78.
    """
    return 0.5 * offset[..., :, None] * offset[..., None, :]


def d_sigma_d_covariance(inverse: Tensor, offset: Tensor) -> Tensor:
    """Derivative of sigma by the nine entries of the covariance: -inverse offset offset^T inverse / 2.

    Args:
        inverse: [n, 3, 3] inverse covariances.
        offset: [m, n, 3] from the mean to the point of maximum.

    Returns:
        [m, n, 3, 3].

    Source: Deybach 2025, eq. 26 and 83 to 85.
    """
    transposed = inverse.transpose(-1, -2)
    return -transposed @ d_sigma_d_inverse_covariance(offset) @ transposed


def d_distance_d_mean(inverse: Tensor, directions: Tensor) -> Tensor:
    """Derivative of the distance tau with respect to the mean: A d / (d^T A d); its negative for the origin.

    Args:
        inverse: [n, 3, 3] inverse covariances A.
        directions: [m, 3] unit vectors d.

    Returns:
        [m, n, 3].

    Source: of eq. 7 of Deybach 2025, who does not differentiate it.
    """
    inverse_direction = torch.einsum("nij,mj->mni", inverse, directions)
    return inverse_direction / torch.einsum("mni,mi->mn", inverse_direction, directions)[..., None]


def d_distance_d_covariance(inverse: Tensor, offset: Tensor, directions: Tensor) -> Tensor:
    """Derivative of tau with respect to the covariance's nine entries: A offset d^T A / (d^T A d).

    Args:
        inverse: [n, 3, 3] inverse covariances A.
        offset: [m, n, 3] from the mean to the point of maximum.
        directions: [m, 3] unit vectors d.

    Returns:
        [m, n, 3, 3], not symmetric.

    Source: of eq. 7 of Deybach 2025, who does not differentiate it.
    """
    slope = d_distance_d_mean(inverse, directions)
    return -d_sigma_d_mean(inverse, offset)[..., :, None] * slope[..., None, :]


def grad_factor_of_covariance(grad_covariance: Tensor, factor: Tensor) -> Tensor:
    """Gradient F M + F^T M of the factor M = R S of a covariance M M^T.

    Args:
        grad_covariance: [n, 3, 3] F, need not be symmetric.
        factor: [n, 3, 3] M.

    Returns:
        [n, 3, 3].

    Source: Deybach 2025, eq. 27, 48, 86 and 87.
    """
    return grad_covariance @ factor + grad_covariance.transpose(-1, -2) @ factor


def grad_rotation_of_factor(grad_factor: Tensor, scales: Tensor) -> Tensor:
    """Gradient (dL/dM) S^T of the rotation R in M = R S.

    Args:
        grad_factor: [n, 3, 3] dL/dM.
        scales: [n, 3] the diagonal of S.

    Returns:
        [n, 3, 3].

    Source: what dM/dR stands for in Deybach 2025, eq. 37 and 38.
    """
    return grad_factor * scales[:, None, :]


def grad_scales_of_factor(grad_factor: Tensor, rotations: Tensor) -> Tensor:
    """Gradients (R^T dL/dM)_jj of the scales in M = R S, one for each axis j.

    Args:
        grad_factor: [n, 3, 3] dL/dM.
        rotations: [n, 3, 3] R, world_from_local.

    Returns:
        [n, 3].

    Source: Deybach 2025, eq. 32 to 34, 39 and 40, with dS/ds_j the matrix whose only entry is 1 at (j, j).
    """
    return (rotations.transpose(-1, -2) @ grad_factor).diagonal(dim1=-2, dim2=-1)


def d_rotation_d_quat(unit_quats: Tensor) -> Tensor:
    """Derivatives of the rotation matrix of eq. 10, as polynomials, with respect to w, x, y and z.

    Args:
        unit_quats: [n, 4] as (w, x, y, z), of length one.

    Returns:
        [n, 4, 3, 3].

    Source: Deybach 2025, eq. 28 to 31 and 89 to 93.
    """
    w, x, y, z = unit_quats.unbind(-1)
    zero = torch.zeros_like(w)
    matrices = (
        ((zero, -z, y), (z, zero, -x), (-y, x, zero)),
        ((zero, y, z), (y, -2 * x, -w), (z, w, -2 * x)),
        ((-2 * y, x, w), (x, zero, z), (-w, z, -2 * y)),
        ((-2 * z, -w, x), (w, -2 * z, y), (x, y, zero)),
    )
    stacked = [torch.stack([torch.stack(row, -1) for row in matrix], -2) for matrix in matrices]
    return 2 * torch.stack(stacked, -3)


def grad_before_normalisation(grad_unit: Tensor, vectors: Tensor) -> Tensor:
    """Gradient of vectors that are normalised before use: (I - v v^T) / length times the gradient of v.

    Args:
        grad_unit: [n, d] gradient of the unit vectors v.
        vectors: [n, d] of any length.

    Returns:
        [n, d], zero for a row of zeros.

    Source: missing in Deybach 2025, whose eq. 53 normalises after the step instead.
    """
    unit = normalised(vectors)
    length = vectors.norm(dim=-1, keepdim=True)
    across = grad_unit - (grad_unit * unit).sum(-1, keepdim=True) * unit
    return torch.where(length > 0, across / length, 0.0)


def grad_quats_of_rotation(grad_rotation: Tensor, quats: Tensor) -> Tensor:
    """Gradient of quaternions: <dL/dR, dR/dq_j>, then through the normalisation.

    Args:
        grad_rotation: [n, 3, 3] dL/dR.
        quats: [n, 4] as (w, x, y, z), any non-zero length.

    Returns:
        [n, 4].

    Source: Deybach 2025, eq. 37 and 38.
    """
    changes = d_rotation_d_quat(normalised(quats))
    return grad_before_normalisation(torch.einsum("nij,nqij->nq", grad_rotation, changes), quats)
