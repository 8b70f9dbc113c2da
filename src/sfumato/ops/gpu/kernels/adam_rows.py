"""An Adam step over the visible rows, one number per lane."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["n"])
def adam_rows(
    param, grad, exp_avg, exp_avg_sq, seen, rates, beta1, rest1, beta2, rest2, epsilon, root_correction,
    columns, updated, n, BLOCK: tl.constexpr,
):  # fmt: skip
    """Update the first ``updated`` of the ``columns`` of each row; ``n`` numbers in all.

    Args:
        rates: [updated] learning rates over the bias correction of the mean.
        rest1, rest2: 1 minus each decay, rounded from float64.
        root_correction: 1 / sqrt of the bias correction of the mean square.
    """
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row, column = k // updated, k % updated
    at = row.to(tl.int64) * columns + column
    here = k < n
    here = here & (tl.load(seen + row, mask=here, other=0) != 0)
    g = tl.load(grad + at, mask=here, other=0.0)
    first = beta1 * tl.load(exp_avg + at, mask=here, other=0.0) + rest1 * g
    second = beta2 * tl.load(exp_avg_sq + at, mask=here, other=0.0) + rest2 * g * g
    step = tl.load(rates + column) * first / (tl.sqrt(second) * root_correction + epsilon)
    tl.store(exp_avg + at, first, mask=here)
    tl.store(exp_avg_sq + at, second, mask=here)
    tl.store(param + at, tl.load(param + at, mask=here, other=0.0) - step, mask=here)
