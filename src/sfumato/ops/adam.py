"""An Adam step over the visible Gaussians."""

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.ops import reference
from sfumato.ops.backend import Floats, implementation, uses_definition
from sfumato.ops.operation import operation


@operation("sfumato::adam_step", mutates_args=("param", "exp_avg", "exp_avg_sq"))
def _adam_step(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    seen: Tensor,
    rates: Tensor,
    betas: Floats,
    epsilon: float,
    step: int,
) -> None:
    implementation("adam", param).forward(param, grad, exp_avg, exp_avg_sq, seen, rates, betas, epsilon, step)


@_adam_step.register_fake
def _(param, grad, exp_avg, exp_avg_sq, seen, rates, betas, epsilon, step):
    return None


def adam_step(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    seen: Tensor,
    *,
    rate: float | Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-15,
    step: int,
) -> None:
    """Update the rows of a parameter that were visible, in place.

    Args:
        param: [n, ...] contiguous parameter, changed in place.
        grad: [n, ...] its gradient.
        exp_avg, exp_avg_sq: [n, ...] running means of the gradient and its square, changed in place.
        seen: [n] bool, whether a row was visible; other rows and their running means are not changed.
        rate: learning rate; or [m], one for each of the first m columns of a flattened row, the rest of which
            is not changed.
        beta1, beta2: decays of the running means.
        epsilon: added to the root of the second moment.
        step: 1 at the first step; counts all steps, also those in which a row was not visible.

    Raises:
        ShapeError: a tensor has another shape, dtype or device, or a changed one is not contiguous.

    Source: Kingma and Ba 2015, in the form of ``torch.optim.Adam``.
    """
    dims = " ".join(f"d{k}" for k in range(param.ndim))
    tensors = {"param": param, "grad": grad, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    check_shapes(like=param, **{name: (t, dims) for name, t in tensors.items()})
    if seen.dtype != torch.bool or seen.shape != param.shape[:1]:
        raise ShapeError(f"seen is {seen.dtype} {list(seen.shape)}, expected bool [{len(param)}]")
    for name in ("param", "exp_avg", "exp_avg_sq"):
        if not tensors[name].is_contiguous():
            raise ShapeError(f"{name} must be contiguous, since it is changed in place")
    n = len(param)
    columns = param[0].numel() if n else 0
    rates = rate if isinstance(rate, Tensor) else param.new_full((columns,), rate)
    if rates.ndim != 1 or len(rates) > columns > 0:
        raise ShapeError(f"rate has shape {list(rates.shape)}, expected at most [{columns}]")
    with torch.no_grad():
        if uses_definition(param):
            rows = (t.reshape(n, -1)[:, : len(rates)] for t in tensors.values())
            flat, flat_grad, flat_avg, flat_sq = rows
            reference.adam_step(
                flat, flat_grad, flat_avg, flat_sq, seen,
                rate=rates, beta1=beta1, beta2=beta2, epsilon=epsilon, step=step,
            )  # fmt: skip
        elif n:
            _adam_step(param, grad, exp_avg, exp_avg_sq, seen, rates, [beta1, beta2], epsilon, step)
