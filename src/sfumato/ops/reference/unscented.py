"""Definition of the unscented transform: the ellipse of a Gaussian in an image from seven sigma points."""

from collections.abc import Callable

import torch
from torch import Tensor

from sfumato.maths.covariances import determinant_2x2
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops.constants import ALPHA_MIN, EXTENT_SIGMAS, RADIUS_MAX_PX
from sfumato.ops.reference.trace import sound

# Spread of the sigma points, prior knowledge of the distribution (2 is optimal for a Gaussian) and secondary
# scaling, with the values of Wu et al. 2025. The points then lie sqrt(3) standard deviations from the mean.
ALPHA, BETA, KAPPA = 1.0, 2.0, 0.0
_REACH2 = ALPHA**2 * (3 + KAPPA)
_LAMBDA = _REACH2 - 3
# Weights of the mean and of each other point, for the mean and for the covariance.
_OF_CENTRE, _OF_OTHERS = _LAMBDA / _REACH2, 0.5 / _REACH2
_OF_CENTRE_IN_COVARIANCE = _OF_CENTRE + 1 - ALPHA**2 + BETA


def sigma_points(means: Tensor, quats: Tensor, scales: Tensor) -> Tensor:
    """Seven sigma points of each Gaussian: its mean, and two on each of its axes.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.

    Returns:
        [n, 7, 3] points, world frame.

    Source: Julier and Uhlmann 1997; Wan and van der Merwe 2000, eq. 15.
    """
    axes = _REACH2**0.5 * (rotation_from_quats(quats) * scales[:, None]).transpose(1, 2)
    centre = means[:, None]
    return torch.cat([centre, centre + axes, centre - axes], dim=1)


def unscented(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    image_of: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    width: int,
    height: int,
    near: float | Tensor,
    far: float | Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find the ellipses of Gaussians in an image from the projections of their sigma points.

    A sigma point that has no projection is placed at the mean, and the box then spans the image. A Gaussian
    is culled, with zeros in every output, if its mean has no projection, its depth is outside [near, far],
    its box misses the image, its opacity is under 1/255, or it is invalid (see ``sound``).

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        opacities: [n] peak opacities.
        image_of: takes points [m, 3] to pixels [m, 2], NaN where there are none, and to depths [m].
        width, height: of the image, pixels.
        near, far: depth that is kept.

    Returns:
        mean_px [n, 2]; covariance_px2 [n, 3] as (xx, xy, yy); depth [n] of the mean; radius_px [n, 2]
        int32 half sizes of the box.

    Gradients: none.

    Source: Wu et al. 2025, section 4.1.
    """
    rows = sound(means, quats, scales, opacities).nonzero().squeeze(-1)
    points = sigma_points(means[rows], quats[rows], scales[rows])
    pixels, depths = image_of(points.reshape(-1, 3))
    pixels, depth = pixels.reshape(-1, 7, 2), depths.reshape(-1, 7)[:, 0]
    placed = pixels.isfinite().all(-1, keepdim=True)
    pixels = torch.where(placed, pixels, pixels[:, :1])
    # Relative to the first point, so that large pixel coordinates do not cancel.
    away = pixels - pixels[:, :1]
    shift = _OF_OTHERS * away[:, 1:].sum(1)
    mean_px = pixels[:, 0] + shift
    around = away - shift[:, None]
    weights = pixels.new_tensor([_OF_CENTRE_IN_COVARIANCE, *[_OF_OTHERS] * 6])
    full = (weights[:, None, None] * around[..., None] * around[..., None, :]).sum(1)
    covariance = torch.stack([full[:, 0, 0], full[:, 0, 1], full[:, 1, 1]], -1)
    size = mean_px.new_tensor([width, height])
    extent = (2 * (opacities[rows] / ALPHA_MIN).log()).sqrt().clamp_max(EXTENT_SIGMAS)
    radii = torch.ceil(extent[:, None] * covariance[:, (0, 2)].sqrt())
    across = torch.ceil(torch.maximum(mean_px, size - mean_px))
    radii = torch.where(placed.all(1), radii, torch.maximum(radii, across))
    # Written so that NaN fails every test.
    visible = (depth >= near) & (depth <= far) & (opacities[rows] >= ALPHA_MIN)
    visible &= ((mean_px + radii > 0) & (mean_px - radii < size)).all(-1) & (radii > 0).all(-1)
    visible &= determinant_2x2(covariance).isfinite() & placed[:, 0, 0]
    radii = radii.clamp_max(RADIUS_MAX_PX)
    found = []
    for values, dtype in ((mean_px, None), (covariance, None), (depth[:, None], None), (radii, torch.int32)):
        kept = torch.where(visible[:, None], values, 0.0).to(dtype or means.dtype)
        found.append(kept.new_zeros(len(means), values.shape[1]).index_copy(0, rows, kept))
    return found[0], found[1], found[2][:, 0], found[3]
