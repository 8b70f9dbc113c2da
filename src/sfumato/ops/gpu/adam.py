"""Adam over the visible rows, in one pass over memory."""

import math

import torch

from sfumato.ops.gpu.kernels.adam_rows import adam_rows
from sfumato.ops.gpu.launch import start_elementwise


def forward(param, grad, exp_avg, exp_avg_sq, seen, rates, betas, epsilon, step):
    """See sfumato.ops.adam_step; changes the parameter and its running means in place."""
    beta1, beta2 = betas
    rates = (rates / (1 - beta1**step)).contiguous()
    decays = beta1, 1 - beta1, beta2, 1 - beta2
    seen = seen.contiguous().view(torch.uint8)
    columns = param.numel() // len(param)
    start_elementwise(
        adam_rows, len(param) * len(rates), param, grad.contiguous(), exp_avg, exp_avg_sq,
        seen, rates, *decays, epsilon, 1 / math.sqrt(1 - beta2**step), columns, len(rates),
    )  # fmt: skip
