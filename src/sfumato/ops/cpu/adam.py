"""Adam for the rows of visible Gaussians, in one pass over memory."""

import math

import numpy as np
from numba import prange

from sfumato.ops.cpu.arrays import as_array
from sfumato.ops.cpu.jit import kernel


@kernel
def adam_step(
    param, grad, exp_avg, exp_avg_sq, seen, rates, beta1, rest1, beta2, rest2, epsilon, root_correction
):
    """Update rows of [n, m] arrays in place.

    Args:
        rates: learning rates of the leading columns, divided by the bias correction of the mean.
        beta1, rest1, beta2, rest2: decays, and 1 minus each, rounded from float64.
        root_correction: 1 / sqrt of the bias correction of the mean square.
    """
    for i in prange(param.shape[0]):
        if not seen[i]:
            continue
        for k in range(rates.size):
            g = grad[i, k]
            first = beta1 * exp_avg[i, k] + rest1 * g
            second = beta2 * exp_avg_sq[i, k] + rest2 * g * g
            exp_avg[i, k] = first
            exp_avg_sq[i, k] = second
            param[i, k] -= rates[k] * first / (np.sqrt(second) * root_correction + epsilon)


def forward(param, grad, exp_avg, exp_avg_sq, seen, rates, betas, epsilon, step):
    """See sfumato.ops.adam_step; changes the parameter and its running means in place."""
    n = param.shape[0]
    rows = [t.detach().numpy().reshape(n, -1) for t in (param, exp_avg, exp_avg_sq)]
    beta1, beta2 = betas
    adam_step(
        rows[0], as_array(grad).reshape(n, -1), rows[1], rows[2], as_array(seen),
        as_array(rates / (1 - beta1**step)), *map(np.float32, (beta1, 1 - beta1, beta2, 1 - beta2, epsilon)),
        np.float32(1 / math.sqrt(1 - beta2**step)),
    )  # fmt: skip
