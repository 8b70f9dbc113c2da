"""Adam over the rows that were seen, in one pass over memory."""

import numpy as np
from numba import prange

from sfumato.ops.cpu.jit import kernel


@kernel
def adam_step(
    param, grad, exp_avg, exp_avg_sq, seen, rates, beta1, rest1, beta2, rest2, epsilon, root_correction
):
    """Update rows of [n, m] arrays in place.

    Args:
        rates: learning rate of each of the leading columns over the bias correction of the mean.
        beta1, rest1, beta2, rest2: decays and 1 minus each, rounded from float64.
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
