"""Covariances of Gaussians from their rotations and scales."""

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.ops import reference
from sfumato.ops.backend import implementation, uses_definition
from sfumato.ops.operation import operation


@operation("sfumato::covariance")
def _covariance(quats: Tensor, scales: Tensor) -> Tensor:
    return implementation("covariance", quats).forward(quats, scales)


@_covariance.register_fake
def _(quats, scales):
    return quats.new_empty(quats.shape[0], 6)


@operation("sfumato::covariance_backward")
def _covariance_backward(grad: Tensor, quats: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    return implementation("covariance", quats).backward(grad, quats, scales)


@_covariance_backward.register_fake
def _(grad, quats, scales):
    return torch.empty_like(quats), torch.empty_like(scales)


def _setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):
    return _covariance_backward(grad, *ctx.saved_tensors)


_covariance.register_autograd(_backward, setup_context=_setup)


def covariance(quats: Tensor, scales: Tensor) -> Tensor:
    """Covariance matrices R S S^T R^T, packed.

    Args:
        quats: [n, 4] world_from_local rotations as (w, x, y, z), any non-zero length.
        scales: [n, 3] standard deviations along the local axes, scene units.

    Returns:
        [n, 6] as (xx, xy, xz, yy, yz, zz), world frame, scene units squared.

    Raises:
        ShapeError: a tensor has another shape, dtype or device.

    Gradients: quats (through their normalisation), scales.

    Source: Kerbl et al. 2023, eq. 6.
    """
    check_shapes(like=quats, quats=(quats, "n 4"), scales=(scales, "n 3"))
    if uses_definition(quats):
        return reference.covariance(quats, scales)
    return _covariance(quats, scales)
