"""Analytic gradients of ray tracing, without autograd, after Deybach 2025."""

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised, rotation_from_quats
from sfumato.ops.constants import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_STOP
from sfumato.ops.reference import blending_gradients as blending
from sfumato.ops.reference import shape_gradients as shape
from sfumato.ops.reference.trace import local_from_world, response, sound


class TraceGradients(NamedTuple):
    """Gradients of the tensors that ``trace`` takes, each of the shape of its tensor.

    Attributes:
        means: [n, 3].
        quats: [n, 4].
        scales: [n, 3].
        opacities: [n].
        colours: [n, d], or [m, n, d] where they were given per ray.
        origins: [m, 3].
        directions: [m, 3].
        background: [d].
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colours: Tensor
    origins: Tensor
    directions: Tensor
    background: Tensor


class _PairGradients(NamedTuple):
    """Gradients of the inputs of blending per (ray, Gaussian) pair, in the order of the Gaussians."""

    alpha: Tensor
    values: Tensor


@torch.no_grad()
def trace_backward(
    grad_image: Tensor,
    grad_alpha: Tensor,
    grad_distance: Tensor,
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colours: Tensor,
    origins: Tensor,
    directions: Tensor,
    background: Tensor,
    *,
    near: float,
    far: float,
    alpha_min: float = ALPHA_MIN,
    transmittance_stop: float = TRANSMITTANCE_STOP,
) -> TraceGradients:
    """Gradients of ``trace``, by the chain rule written out.

    Alpha is blended like a colour of 1 and distance like a colour of tau, both in front of a background of 0:
    one sum over channels k then includes all outputs. The other sum is over rays.

    Args:
        grad_image: [m, d] gradient of the image.
        grad_alpha: [m] gradient of alpha.
        grad_distance: [m] gradient of the distance.
        means, scales, origins, directions: [n, 3], [n, 3], [m, 3] and [m, 3], as in ``trace``.
        quats: [n, 4] as in ``trace``.
        opacities: [n] as in ``trace``.
        colours: [n, d] or [m, n, d] as in ``trace``.
        background: [d] as in ``trace``.
        near, far, alpha_min, transmittance_stop: as in ``trace``.

    Returns:
        TraceGradients; zeros for Gaussians that cannot be seen.

    Source: Deybach 2025, eq. 37 to 49 with the sums over rays and channels that they leave out.
    """
    rows = sound(means, quats, scales, opacities).nonzero().squeeze(-1)
    every = (means, quats, scales, opacities)
    means, quats, scales, opacities = (t[rows] for t in every)
    unit = normalised(directions)
    tau, sigma = response(means, quats, scales, origins, unit)
    own_colours = colours[..., rows, :].expand(len(origins), -1, -1)
    opaque = torch.ones_like(tau)
    pairs, clear = _blending_backward(
        torch.cat([grad_image, grad_alpha[:, None], grad_distance[:, None]], dim=1),
        torch.cat([own_colours, opaque[..., None], tau[..., None]], dim=2),
        torch.cat([background, background.new_zeros(2)]),
        opacities * torch.exp(-sigma),
        torch.where((tau >= near) & (tau <= far), tau, torch.nan),
        alpha_min,
        transmittance_stop,
    )
    sigma = torch.where(pairs.alpha != 0, sigma, 0.0)
    grad_sigma = pairs.alpha * blending.d_alpha_d_response(opacities) * blending.d_response_d_sigma(sigma)
    grad_opacities = (pairs.alpha * blending.d_alpha_d_opacity(sigma)).sum(0)
    geometry = _shape_backward(grad_sigma, pairs.values[..., -1], tau, means, quats, scales, origins, unit)
    grad_means, grad_quats, grad_scales, grad_origins, grad_unit = geometry
    grad_colours = pairs.values[..., :-2]
    grad_colours = grad_colours if colours.ndim == 3 else grad_colours.sum(0)
    of_rows = (grad_means, grad_quats, grad_scales, grad_opacities)
    grad_means, grad_quats, grad_scales, grad_opacities = (
        torch.zeros_like(whole).index_copy(0, rows, found)
        for whole, found in zip(every, of_rows, strict=True)
    )
    return TraceGradients(
        grad_means,
        grad_quats,
        grad_scales,
        grad_opacities,
        torch.zeros_like(colours).index_copy(colours.ndim - 2, rows, grad_colours),
        grad_origins,
        shape.grad_before_normalisation(grad_unit, directions),
        (grad_image * clear[:, None]).sum(0),
    )


def _blending_backward(
    grad_seen: Tensor,
    values: Tensor,
    background: Tensor,
    peak: Tensor,
    tau: Tensor,
    alpha_min: float,
    transmittance_stop: float,
) -> tuple[_PairGradients, Tensor]:
    """Gradients of alphas and blended values of each pair, and the final transmittance of each ray.

    Args:
        grad_seen: [m, k] gradient of each ray's outputs, k channels.
        values: [m, n, k] that are blended.
        background: [k].
        peak: [m, n] opacity times response, before it is clamped at 0.999.
        tau: [m, n] distances; NaN outside [near, far].
        alpha_min, transmittance_stop: as in ``trace``.
    """
    hit = (peak >= alpha_min) & ~tau.isnan()
    order = torch.where(hit, tau, torch.inf).sort(dim=1, stable=True).indices
    alpha = torch.where(hit, peak.clamp_max(ALPHA_MAX), 0.0).gather(1, order)
    passing = blending.transmittance_before(alpha) * (1 - alpha)
    blended = hit.gather(1, order) & (passing > transmittance_stop)
    alpha = torch.where(blended, alpha, 0.0)
    values = values.gather(1, order[..., None].expand_as(values))
    values = torch.where(blended[..., None], values, 0.0)

    weight = blending.d_image_d_colour(alpha)
    clear = torch.prod(1 - alpha, dim=1)
    seen = (weight[..., None] * values).sum(1) + clear[:, None] * background
    behind = blending.contribution_behind(seen, values, weight)
    change = blending.d_image_d_alpha(values, alpha, behind)
    grad_alpha = (grad_seen[:, None] * change).sum(2)
    is_clamped = peak.gather(1, order) > ALPHA_MAX
    grad_alpha = torch.where(blended & ~is_clamped, grad_alpha, 0.0)
    grad_values = weight[..., None] * grad_seen[:, None]
    return _PairGradients(
        torch.zeros_like(grad_alpha).scatter(1, order, grad_alpha),
        torch.zeros_like(values).scatter(1, order[..., None].expand_as(values), grad_values),
    ), clear


def _shape_backward(
    grad_sigma: Tensor,
    grad_tau: Tensor,
    tau: Tensor,
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    origins: Tensor,
    unit: Tensor,
) -> tuple[Tensor, ...]:
    """Gradients of means, quats, scales, origins and unit directions.

    Args:
        grad_sigma, grad_tau: [m, n] gradients of sigma and of the distance of each pair.
        tau: [m, n] distances.
        means, scales, origins: [n, 3], [n, 3] and [m, 3], as in ``trace``.
        quats: [n, 4] as in ``trace``.
        unit: [m, 3] directions of length one.
    """
    used = ((grad_sigma != 0) | (grad_tau != 0))[..., None]
    to_local = local_from_world(quats, scales)
    inverse = to_local.transpose(-1, -2) @ to_local
    offset = origins[:, None] + tau[..., None] * unit[:, None] - means
    # Pairs that are not used may contain NaN, and zero times NaN is NaN.
    offset = torch.where(used, offset, 0.0)
    d_sigma = shape.d_sigma_d_mean(inverse, offset)
    d_tau = torch.where(used, shape.d_distance_d_mean(inverse, unit), 0.0)
    curvature = torch.einsum("mi,nij,mj->mn", unit, inverse, unit)[..., None]
    tau = torch.where(used, tau[..., None], 0.0)
    grad_sigma, grad_tau = grad_sigma[..., None], grad_tau[..., None]

    grad_offsets = grad_sigma * d_sigma + grad_tau * d_tau
    d_tau_d_unit = torch.where(used, d_sigma / curvature, 0.0) - tau * d_tau
    grad_unit = (grad_tau * d_tau_d_unit - grad_sigma * tau * d_sigma).sum(1)
    of_distance = torch.where(used[..., None], shape.d_distance_d_covariance(inverse, offset, unit), 0.0)
    of_sigma = shape.d_sigma_d_covariance(inverse, offset)
    grad_covariance = (grad_sigma[..., None] * of_sigma + grad_tau[..., None] * of_distance).sum(0)

    rotations = rotation_from_quats(quats)
    grad_factor = shape.grad_factor_of_covariance(grad_covariance, rotations * scales[:, None, :])
    return (
        grad_offsets.sum(0),
        shape.grad_quats_of_rotation(shape.grad_rotation_of_factor(grad_factor, scales), quats),
        shape.grad_scales_of_factor(grad_factor, rotations),
        -grad_offsets.sum(1),
        grad_unit,
    )
