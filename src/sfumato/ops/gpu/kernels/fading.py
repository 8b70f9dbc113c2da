"""The penalty on opacities and scales, and its gradients, one Gaussian per lane."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["n"])
def fading_penalty(
    log_scales, logits, means, viewpoint, least, of_opacity, of_scale, to_scales, to_logits, losses, n,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write both gradients, and each program's share of the penalty.

    Args:
        least: least distance.
        of_opacity, of_scale: shares in the penalty of one opacity, and of one scale at distance 1.
        losses: [programs], written.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    x = tl.load(means + 3 * i) - tl.load(viewpoint)
    y = tl.load(means + 3 * i + 1) - tl.load(viewpoint + 1)
    z = tl.load(means + 3 * i + 2) - tl.load(viewpoint + 2)
    distance = tl.sqrt(x * x + y * y + z * z)
    # Not a maximum, so that NaN stays NaN.
    share = of_scale / tl.where(distance < least, least, distance)
    first = share * tl.exp(tl.load(log_scales + 3 * i))
    second = share * tl.exp(tl.load(log_scales + 3 * i + 1))
    third = share * tl.exp(tl.load(log_scales + 3 * i + 2))
    tl.store(to_scales + 3 * i, first, mask=here)
    tl.store(to_scales + 3 * i + 1, second, mask=here)
    tl.store(to_scales + 3 * i + 2, third, mask=here)
    logit = tl.load(logits + i)
    # With the exponential of a negative number only, which cannot overflow.
    small = tl.exp(-tl.abs(logit))
    opacity = tl.where(logit >= 0, 1.0, small) / (1.0 + small)
    tl.store(to_logits + i, of_opacity * small / ((1.0 + small) * (1.0 + small)), mask=here)
    penalty = tl.where(here, first + second + third + of_opacity * opacity, 0.0)
    tl.store(losses + tl.program_id(0), tl.sum(penalty))
