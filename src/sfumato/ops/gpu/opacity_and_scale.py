"""The penalty on opacities and scales, and its gradients."""

import torch

from sfumato.ops.gpu.kernels.fading import fading_penalty
from sfumato.ops.gpu.launch import programs_over, start_elementwise


def forward(log_scales, logit_opacities, means, viewpoint, least_distance, opacity_weight, scale_weight):
    """The penalty, and its gradients to ``log_scales`` and ``logit_opacities``; see sfumato.ops."""
    given = [tensor.contiguous() for tensor in (log_scales, logit_opacities, means, viewpoint)]
    n = len(means)
    to_scales, to_logits = torch.empty_like(given[0]), torch.empty_like(given[1])
    losses = log_scales.new_empty(programs_over(n))
    shares = opacity_weight / max(n, 1), scale_weight / (3 * max(n, 1))
    start_elementwise(fading_penalty, n, *given, least_distance, *shares, to_scales, to_logits, losses)
    return losses.sum(dtype=torch.float64).to(log_scales.dtype), to_scales, to_logits
