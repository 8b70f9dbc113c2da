"""Blending of one Gaussian into the pixels or rays of a block."""

import math
from typing import Any, NamedTuple

import numpy as np

from sfumato.ops import constants
from sfumato.ops.cpu.jit import lane_function
from sfumato.ops.cpu.simd import lanes as ln

ALPHA_MAX = np.float32(constants.ALPHA_MAX)
LOG2_ALPHA_MIN = np.float32(math.log2(constants.ALPHA_MIN))
TRANSMITTANCE_STOP = np.float32(constants.TRANSMITTANCE_STOP)
# Tiles are assigned to this many tasks in turn, so that expensive regions spread over the threads.
STRIPS = 64
_ZERO = np.float32(0.0)


class BlendedLanes(NamedTuple):
    """Blending of a Gaussian in each pixel or ray of a block, in lanes.

    Attributes:
        alpha: alpha after clamping.
        weight: weight of its colour.
        transmittance: transmittance behind it; negative for pixels that have stopped.
        live: whether the pixel has not stopped.
    """

    alpha: Any
    weight: Any
    transmittance: Any
    live: Any


@lane_function
def alpha_of(log2_alpha, hit):
    """Alpha after clamping; zero without ``hit``."""
    return ln.select(hit, ln.smaller(ln.exp2(log2_alpha), ALPHA_MAX), _ZERO)


@lane_function
def blend(log2_alpha, hit, transmittance):
    """BlendedLanes; ``transmittance`` is that before the Gaussian.

    Without ``hit`` alpha is zero, which does not change a live pixel.
    """
    alpha = alpha_of(log2_alpha, hit)
    weight = alpha * transmittance
    rest = transmittance - weight
    live = rest > TRANSMITTANCE_STOP
    transmittance = ln.select(live, rest, ln.negative_magnitude(transmittance))
    return BlendedLanes(alpha, ln.select(live, weight, _ZERO), transmittance, live)
