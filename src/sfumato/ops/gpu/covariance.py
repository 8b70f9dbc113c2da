"""Covariances from quaternions and scales, and the gradient."""

import torch

from sfumato.ops.gpu.kernels.shapes import covariance_backward, covariance_forward
from sfumato.ops.gpu.launch import start_elementwise


def forward(quats, scales):
    """See sfumato.ops.covariance."""
    covariances = quats.new_empty(len(quats), 6)
    start_elementwise(covariance_forward, len(quats), quats.contiguous(), scales.contiguous(), covariances)
    return covariances


def backward(grad, quats, scales):
    """Gradients with respect to the quaternions and the scales."""
    grad, quats, scales = grad.contiguous(), quats.contiguous(), scales.contiguous()
    to_quats, to_scales = torch.empty_like(quats), torch.empty_like(scales)
    start_elementwise(covariance_backward, len(quats), grad, quats, scales, to_quats, to_scales)
    return to_quats, to_scales
