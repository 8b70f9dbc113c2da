"""Definition of ray tracing: the response of every Gaussian along every ray, blended by distance."""

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised, rotation_from_quats
from sfumato.ops.constants import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP


class Response(NamedTuple):
    """The maximum response of Gaussians along rays.

    Attributes:
        distance: [m, n] tau, distance from the origin to the point of maximum, scene units; signed.
        sigma: [m, n] half the squared Mahalanobis distance there; the response is exp(-sigma).
    """

    distance: Tensor
    sigma: Tensor


def local_from_world(quats: Tensor, scales: Tensor) -> Tensor:
    """[n, 3, 3] S^-1 R^T, from the world to the frame in which a Gaussian is a unit ball."""
    return rotation_from_quats(quats).transpose(-1, -2) / scales[:, :, None]


def response(means: Tensor, quats: Tensor, scales: Tensor, origins: Tensor, directions: Tensor) -> Response:
    """Find the point of maximum of every Gaussian along every ray.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        origins: [m, 3] of the rays, world frame.
        directions: [m, 3] unit vectors, world frame.

    Returns:
        Response.

    Gradients: all arguments. That tau depends on them does not change sigma to first order, as sigma is
        minimal there.

    Source: Deybach 2025, eq. 5 to 7.
    """
    to_local = local_from_world(quats, scales)
    origin = torch.einsum("nij,mnj->mni", to_local, origins[:, None] - means)
    along = torch.einsum("nij,mj->mni", to_local, directions)
    along2 = (along * along).sum(-1)
    distance = -(origin * along).sum(-1) / along2
    # |o x d| / |d| is |o + tau d| without the difference of large numbers.
    across = torch.linalg.cross(origin, along)
    return Response(distance, 0.5 * (across * across).sum(-1) / along2)


def sound(means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor) -> Tensor:
    """[n] bool: finite, with positive scales and a non-zero quaternion; other Gaussians are not rendered."""
    values = torch.cat([means, quats, scales, opacities[:, None]], dim=1).detach()
    return values.isfinite().all(1) & (scales > 0).all(1) & (quats != 0).any(1)


def trace(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colours: Tensor,
    origins: Tensor,
    directions: Tensor,
    background: Tensor,
    *,
    near: float | Tensor,
    far: float | Tensor,
    alpha_min: float = ALPHA_MIN,
    transmittance_stop: float = TRANSMITTANCE_STOP,
    depths: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Blend Gaussians front to back along rays, each ray in its own order.

    alpha = min(0.999, opacity * exp(-sigma)) at the point of maximum, whose distance tau gives the
    order. A hit with alpha < 1/255, or tau outside [near, far], is skipped. A ray stops before the
    Gaussian that would bring its transmittance to 1e-4 or below.

    Args:
        means: [n, 3] centres, world frame, scene units.
        quats: [n, 4] world_from_local as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.
        opacities: [n] peak opacities.
        colours: [n, d] values to blend, or [m, n, d], per ray.
        origins: [m, 3] of the rays, world frame, scene units.
        directions: [m, 3], any length; distances do not depend on it. Zero: a ray that sees the background.
        background: [d] value behind everything.
        near, far: distances along the ray between which hits are kept, scene units; or [m], per ray.
        alpha_min: hits below are skipped; 0 makes the image smooth, for finite differences.
        transmittance_stop: where a ray stops; 0 for never.
        depths: [n] to blend in this order on every ray, nearest first; None: by each ray's own hits.

    Returns:
        image [m, d]; alpha [m], 1 - final transmittance; distance [m], the sum of weight * tau.

    Gradients: all tensors. A hit clamped at 0.999 passes none to its sigma and opacity. None through the
        order, the skipping and the stop.

    Source: Deybach 2025, eq. 1, 3 (as alpha = o exp(-sigma); as printed it is wrong) and 4.
    """
    rows = sound(means, quats, scales, opacities).nonzero().squeeze(-1)
    # Only valid rows enter the graph: a NaN in another can then reach no gradient.
    means, quats, scales, opacities = (t[rows] for t in (means, quats, scales, opacities))
    colours = colours[..., rows, :]
    # Likewise, a valid ray that hits nothing replaces each ray with a zero direction or with NaN.
    is_valid = ((directions != 0).any(1) & torch.cat([origins, directions], 1).isfinite().all(1))[:, None]
    origins = torch.where(is_valid, origins, 0.0)
    directions = torch.where(is_valid, directions, directions.new_tensor([0.0, 0.0, 1.0]))
    near, far = (limit.reshape(-1, 1) if isinstance(limit, Tensor) else limit for limit in (near, far))
    tau, sigma = response(means, quats, scales, origins, normalised(directions))
    alpha = (opacities * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
    # Written so that NaN fails every test.
    hit = is_valid & (alpha >= alpha_min) & (tau >= near) & (tau <= far)
    key = tau if depths is None else depths[rows].expand_as(tau)
    order = torch.where(hit, key, torch.inf).detach().sort(dim=1, stable=True).indices
    alpha, hit, tau = (t.gather(1, order) for t in (alpha, hit, tau))
    alpha = torch.where(hit, alpha, 0.0)
    clear = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(clear[:, :1]), clear[:, :-1]], dim=1)
    weight = torch.where(clear > transmittance_stop, alpha * before, 0.0)
    if colours.ndim == 3:
        colours = colours.gather(1, order[:, :, None].expand(-1, -1, colours.shape[2]))
        image = torch.einsum("mn,mnd->md", weight, colours)
    else:
        image = weight.new_zeros(weight.shape).scatter(1, order, weight) @ colours
    covered = weight.sum(1)
    distance = (weight * torch.where(hit, tau, 0.0)).sum(1)
    return image + (1 - covered)[:, None] * background, covered, distance
