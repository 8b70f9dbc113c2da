"""Definition of the covariance of a Gaussian."""

from torch import Tensor

from sfumato.maths.covariances import covariance_matrices, pack_symmetric
from sfumato.maths.quaternions import rotation_from_quats


def covariance(quats: Tensor, scales: Tensor) -> Tensor:
    """Covariances R S S^T R^T of Gaussians, packed.

    Args:
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.

    Returns:
        [n, 6] as (xx, xy, xz, yy, yz, zz), world frame, scene units squared; NaN for a quaternion of
        zeros.

    Gradients: quats (through the normalisation, (I - q q^T) / length) and scales.

    Source: Kerbl et al. 2023, eq. 6; Deybach 2025, eq. 8 to 10.
    """
    return pack_symmetric(covariance_matrices(rotation_from_quats(quats), scales))
