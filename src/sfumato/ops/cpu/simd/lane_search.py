"""SIMD searches: lanes in which a mask is true, and the position of the minimum of a list.

Lists are padded with infinity to a whole number of groups of ``GROUP``.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sfumato.ops.cpu.jit import lane_function
from sfumato.ops.cpu.simd import lanes as ln

# Floats compared together; also the number of children of a node of the hierarchy.
GROUP = 16


@intrinsic
def mask_bits(typingctx, mask):
    """uint64 with bit i set if the mask is true in lane i."""

    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(mask.width))
        return builder.zext(bits, ir.IntType(64))

    return types.uint64(mask), codegen


@intrinsic
def least(typingctx, a):
    """Minimum over the lanes, as float32; none may be NaN."""

    def codegen(context, builder, signature, args):
        value, width = args[0], a.width
        while width > 1:
            width //= 2
            low = ln.shuffle(builder, value, value, range(width))
            high = ln.shuffle(builder, value, value, range(width, 2 * width))
            value = builder.select(builder.fcmp_ordered("<", low, high), low, high)
        return builder.extract_element(value, ln.I32(0))

    return types.float32(a), codegen


@lane_function
def least_of(values, count):
    """Minimum of the first ``count`` (at least 1) floats of a list padded with infinity."""
    found = ln.load(GROUP, values, 0)
    for i in range(GROUP, count, GROUP):
        found = ln.smaller(ln.load(GROUP, values, i), found)
    return least(found)


@lane_function
def position_of(values, wanted):
    """Position of the first float that is at most ``wanted``; there must be one."""
    at = 0
    while True:
        bits = mask_bits(ln.load(GROUP, values, at) <= wanted)
        if bits != np.uint64(0):
            return at + ln.trailing_zeros(bits)
        at += GROUP
