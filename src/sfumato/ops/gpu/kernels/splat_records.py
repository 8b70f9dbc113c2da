"""The input of blending, and the last steps of its gradient, both elementwise over Gaussians.

Input: a record for each Gaussian. Gradient: the sums of the pairs of a Gaussian and a tile are added up for
each Gaussian, in the order of emission, and turned into gradients.
"""

import math

import triton
import triton.language as tl

# Numbers of a record before the channels: centre x, y; the conic scaled so that the exponent is base 2
# (A dx^2 + B dx dy + C dy^2); log2 of the opacity.
GEOMETRY = tl.constexpr(6)
# The row of sums of a pair begins with moments of g = alpha dL/dalpha over pixels: of 1, dx, dy, dx^2,
# dx dy and dy^2, with (dx, dy) from the centre to the pixel.
MOMENTS = tl.constexpr(6)
LOG2_E = tl.constexpr(math.log2(math.e))
LN_2 = tl.constexpr(math.log(2))


@triton.jit(do_not_specialize=["n"])
def splat_records(
    order, mean_px, conic, opacities, colours, first, records, n,
    D: tl.constexpr, CHANNELS: tl.constexpr, RECORD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the record of each rank, with CHANNELS of its D channels from the ``first`` on."""
    rank = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = rank < n
    i = tl.load(order + rank, mask=here, other=0)
    out = records + rank * RECORD
    tl.store(out, tl.load(mean_px + 2 * i), mask=here)
    tl.store(out + 1, tl.load(mean_px + 2 * i + 1), mask=here)
    tl.store(out + 2, tl.load(conic + 3 * i) * (0.5 * LOG2_E), mask=here)
    tl.store(out + 3, tl.load(conic + 3 * i + 1) * LOG2_E, mask=here)
    tl.store(out + 4, tl.load(conic + 3 * i + 2) * (0.5 * LOG2_E), mask=here)
    tl.store(out + 5, tl.log2(tl.load(opacities + i)), mask=here)
    for k in range(CHANNELS):
        tl.store(out + GEOMETRY + k, tl.load(colours + i * D + first + k), mask=here)


@triton.jit
def add_pairs(
    sums, rank_starts, order, totals, COLUMNS: tl.constexpr, PADDED: tl.constexpr, CHUNK: tl.constexpr
):
    """Add the rows of sums of a rank's pairs, one program per rank; ranks without pairs are not written."""
    rank = tl.program_id(0)
    start, end = tl.load(rank_starts + rank), tl.load(rank_starts + rank + 1)
    if start < end:
        row, column = tl.arange(0, CHUNK)[:, None], tl.arange(0, PADDED)[None, :]
        total = tl.zeros([CHUNK, PADDED], tl.float32)
        for slot in range(start, end, CHUNK):
            mine = (slot + row < end) & (column < COLUMNS)
            total += tl.load(sums + (slot + row).to(tl.int64) * COLUMNS + column, mask=mine, other=0.0)
        i = tl.load(order + rank)
        place = tl.arange(0, PADDED)
        tl.store(totals + i * COLUMNS + place, tl.sum(total, 0), mask=place < COLUMNS)


@triton.jit(do_not_specialize=["n"])
def splat_gradients(
    totals, conic, opacities, to_mean, to_absolute, to_conic, to_opacity, to_colours, n,
    D: tl.constexpr, COLUMNS: tl.constexpr, ABSOLUTE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Turn the sums of each Gaussian into gradients.

    As alpha = o exp(-sigma): dL/dsigma = -g and dL/do = g / o, summed over pixels.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = i < n
    i = tl.minimum(i, n - 1)
    row = totals + i * COLUMNS
    a, b, c = tl.load(conic + 3 * i), tl.load(conic + 3 * i + 1), tl.load(conic + 3 * i + 2)
    g, g_x, g_y = tl.load(row), tl.load(row + 1), tl.load(row + 2)
    tl.store(to_mean + 2 * i, a * g_x + b * g_y, mask=here)
    tl.store(to_mean + 2 * i + 1, b * g_x + c * g_y, mask=here)
    tl.store(to_conic + 3 * i, -0.5 * tl.load(row + 3), mask=here)
    tl.store(to_conic + 3 * i + 1, -tl.load(row + 4), mask=here)
    tl.store(to_conic + 3 * i + 2, -0.5 * tl.load(row + 5), mask=here)
    opacity = tl.load(opacities + i)
    tl.store(to_opacity + i, tl.where(opacity > 0, g / opacity, 0.0), mask=here)
    for k in range(D):
        tl.store(to_colours + i * D + k, tl.load(row + MOMENTS + k), mask=here)
    if ABSOLUTE:
        for k in range(2):
            tl.store(to_absolute + 2 * i + k, tl.load(row + MOMENTS + D + k) * LN_2, mask=here)
