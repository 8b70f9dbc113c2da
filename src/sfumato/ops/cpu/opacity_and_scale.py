"""The penalty on opacities and scales, and its gradients, in one pass."""

import numpy as np
import torch
from numba import prange

from sfumato.ops.cpu.arrays import as_array
from sfumato.ops.cpu.jit import kernel

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
_CHUNK = 256


@kernel
def opacity_and_scale(
    log_scales, logits, means, viewpoint, least, of_opacity, of_scale, to_scales, to_logits
):  # fmt: skip
    """Write the gradients [n, 3] and [n]; return the penalty.

    Args:
        least: least distance.
        of_opacity, of_scale: shares in the penalty of one opacity, and of one scale at distance 1.
    """
    n = logits.size
    chunks = (n + _CHUNK - 1) // _CHUNK
    sums = np.empty(chunks, np.float64)
    for chunk in prange(chunks):
        sum_ = 0.0
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, n)):
            x, y, z = means[i, 0] - viewpoint[0], means[i, 1] - viewpoint[1], means[i, 2] - viewpoint[2]
            distance = np.sqrt(x * x + y * y + z * z)
            # Not max(), so that NaN stays NaN.
            share = of_scale / (least if distance < least else distance)
            for k in range(3):
                part = share * np.exp(log_scales[i, k])
                to_scales[i, k] = part
                sum_ += part
            # With the exponential of a negative number only, which cannot overflow.
            small = np.exp(-abs(logits[i]))
            opacity = (_ONE if logits[i] >= _ZERO else small) / (_ONE + small)
            to_logits[i] = of_opacity * small / ((_ONE + small) * (_ONE + small))
            sum_ += of_opacity * opacity
        sums[chunk] = sum_
    total = 0.0
    for chunk in range(chunks):
        total += sums[chunk]
    return total


def forward(log_scales, logit_opacities, means, viewpoint, least_distance, opacity_weight, scale_weight):
    """The penalty, and its gradients to ``log_scales`` and ``logit_opacities``; see sfumato.ops."""
    arrays = [as_array(t) for t in (log_scales, logit_opacities, means, viewpoint)]
    n = max(len(means), 1)
    settings = map(np.float32, (least_distance, opacity_weight / n, scale_weight / (3 * n)))
    to_scales, to_logits = np.empty_like(arrays[0]), np.empty_like(arrays[1])
    total = opacity_and_scale(*arrays, *settings, to_scales, to_logits)
    return log_scales.new_tensor(total), torch.from_numpy(to_scales), torch.from_numpy(to_logits)
