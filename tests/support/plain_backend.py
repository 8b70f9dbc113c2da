"""A backend of one operation, in plain torch."""

from types import SimpleNamespace

import torch

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops import reference
from sfumato.ops.reference import shape_gradients as shape


def covariance_backward(grad, quats, scales):
    """The formulas of docs/operations.md in plain torch."""
    xx, xy, xz, yy, yz, zz = grad.unbind(1)
    rows = [xx, xy / 2, xz / 2, xy / 2, yy, yz / 2, xz / 2, yz / 2, zz]
    rotations = rotation_from_quats(quats)
    factor = rotations * scales[:, None]
    grad_factor = shape.grad_factor_of_covariance(torch.stack(rows, dim=1).reshape(-1, 3, 3), factor)
    grad_rotations = shape.grad_rotation_of_factor(grad_factor, scales)
    return (
        shape.grad_quats_of_rotation(grad_rotations, quats),
        shape.grad_scales_of_factor(grad_factor, rotations),
    )


PLAIN = {"covariance": SimpleNamespace(forward=reference.covariance, backward=covariance_backward)}
