"""Definition of an Adam step over the visible Gaussians."""

import torch
from torch import Tensor


@torch.no_grad()
def adam_step(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    seen: Tensor,
    *,
    rate: float | Tensor,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: int,
) -> None:
    """Update the rows of a parameter that were visible, in place.

    Args:
        param: [n, ...] parameter, changed in place.
        grad: [n, ...] its gradient.
        exp_avg: [n, ...] running mean of the gradient, changed in place.
        exp_avg_sq: [n, ...] running mean of its square, changed in place.
        seen: [n] bool, whether a row was visible; other rows and their running means are not changed.
        rate: learning rate.
        beta1: decay of ``exp_avg``.
        beta2: decay of ``exp_avg_sq``.
        epsilon: added to the root of the second moment.
        step: 1 at the first step; counts all steps, also those in which a row was not visible.

    Source: Kingma and Ba 2015, in the form of ``torch.optim.Adam``.
    """
    rows = seen.nonzero().squeeze(-1)
    gradient = grad[rows]
    first = beta1 * exp_avg[rows] + (1 - beta1) * gradient
    second = beta2 * exp_avg_sq[rows] + (1 - beta2) * gradient**2
    root = (second / (1 - beta2**step)).sqrt() + epsilon
    exp_avg[rows] = first
    exp_avg_sq[rows] = second
    param[rows] -= rate / (1 - beta1**step) * first / root
