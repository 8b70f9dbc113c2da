"""Analytic gradients of the unbounded parameters that an optimiser holds."""

import torch
from torch import Tensor

from sfumato.errors import ConfigError


def grad_log_scales(grad_scales: Tensor, scales: Tensor) -> Tensor:
    """Gradient of the logarithms of scales: scale times the gradient of the scale.

    Args:
        grad_scales: [n, 3].
        scales: [n, 3] standard deviations, scene units.

    Returns:
        [n, 3].

    Source: Deybach 2025, eq. 55; eq. 56 omits the factor.
    """
    return scales * grad_scales


def grad_logits(grad_values: Tensor, values: Tensor) -> Tensor:
    """Gradient of logits, of opacities or of colours: v (1 - v) times that of v = sigmoid(logit).

    Args:
        grad_values: [...].
        values: [...] in (0, 1).

    Returns:
        [...].

    Source: Deybach 2025, eq. 58 and 62; eq. 57 and 59 omit the factor.
    """
    return grad_values * values * (1 - values)


def grad_sh(grad_colours: Tensor, colours: Tensor, basis: Tensor, form: str) -> Tensor:
    """Gradient of spherical harmonics: basis times the gradient of their sum.

    Args:
        grad_colours: [n, 3].
        colours: [n, 3] as returned by ``colour``.
        basis: [n, k] values of the basis functions.
        form: "sh" or "sh-sigmoid", as in ``colour``.

    Returns:
        [n, k, 3].

    Raises:
        ConfigError: ``form`` is neither of the two.

    Source: Deybach 2025, eq. 2.
    """
    if form == "sh":
        grad_sum = torch.where(colours > 0, grad_colours, 0.0)
    elif form == "sh-sigmoid":
        grad_sum = grad_logits(grad_colours, colours)
    else:
        raise ConfigError(f'form {form!r} has no spherical harmonics: give "sh" or "sh-sigmoid"')
    return basis[:, :, None] * grad_sum[:, None, :]
