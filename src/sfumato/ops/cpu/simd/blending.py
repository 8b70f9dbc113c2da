"""One Gaussian blended into the pixels or rays of a block."""

import math
from typing import Any, NamedTuple

import numpy as np

from sfumato.ops import constants
from sfumato.ops.cpu.jit import lane_function
from sfumato.ops.cpu.simd import lanes as ln

ALPHA_MAX = np.float32(constants.ALPHA_MAX)
LOG2_ALPHA_MIN = np.float32(math.log2(constants.ALPHA_MIN))
TRANSMITTANCE_STOP = np.float32(constants.TRANSMITTANCE_STOP)
# Tiles go to this many tasks in turn, so that expensive regions spread over the threads.
STRIPS = 64
_ZERO = np.float32(0.0)


class BlendedLanes(NamedTuple):
    """A Gaussian in each pixel or ray of a block, in lanes.

    Attributes:
        alpha: after its clamp.
        weight: that its colour has there.
        transmittance: behind it; negative where the pixel has stopped.
        live: where it is blended, or not hit by a pixel that goes on.
    """

    alpha: Any
    weight: Any
    transmittance: Any
    live: Any


@lane_function
def alpha_of(log2_alpha, hit):
    """Alpha after its clamp, zero where nothing is ``hit``."""
    return ln.select(hit, ln.smaller(ln.exp2(log2_alpha), ALPHA_MAX), _ZERO)


@lane_function
def blend(log2_alpha, hit, transmittance):
    """BlendedLanes; ``transmittance`` is that before the Gaussian.

    Where nothing is ``hit`` alpha is zero, which leaves a live pixel as it was.
    """
    alpha = alpha_of(log2_alpha, hit)
    weight = alpha * transmittance
    rest = transmittance - weight
    live = rest > TRANSMITTANCE_STOP
    transmittance = ln.select(live, rest, ln.negative_magnitude(transmittance))
    return BlendedLanes(alpha, ln.select(live, weight, _ZERO), transmittance, live)
