"""Which tiles each Gaussian touches: rows of tiles, the span in each, and a pair for each tile of a span.

The three kernels exchange integers, so that rounding of an ellipse cannot differ between them.
"""

import triton
import triton.language as tl

from sfumato.ops import constants

ALPHA_MIN = tl.constexpr(constants.ALPHA_MIN)
# Added to each span, px, so that rounding never drops a pixel that would be blended.
MARGIN_PX = tl.constexpr(0.01)
# Bound of the extents, px: beyond any image, and an exact integer in float32.
FAR_PX = tl.constexpr(2.0**24)


@triton.jit
def _conic(conic, opacities, i):
    """The conic of Gaussian ``i``, its determinant, and twice the sigma at which alpha is ALPHA_MIN."""
    a, b, c = tl.load(conic + 3 * i), tl.load(conic + 3 * i + 1), tl.load(conic + 3 * i + 2)
    limit = 2.0 * tl.log(tl.maximum(tl.load(opacities + i) / ALPHA_MIN, 1.0))
    return a, b, c, a * c - b * b, limit


@triton.jit
def _pixels(low, high, count):
    """First and last of ``count`` pixels with centres in [low, high]; first > last if there are none."""
    first = tl.ceil(tl.minimum(tl.maximum(low - MARGIN_PX - 0.5, 0.0), FAR_PX)).to(tl.int32)
    last = tl.floor(tl.minimum(tl.maximum(high + MARGIN_PX - 0.5, -1.0), FAR_PX)).to(tl.int32)
    return first, tl.minimum(last, count - 1)


@triton.jit(do_not_specialize=["n"])
def tile_rows(
    order, mean_px, conic, opacities, radius_px, first_row, rows, height, n,
    TILE_HEIGHT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """First row and number of rows of tiles that each Gaussian of ``order`` touches; 0 if culled."""
    rank = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = rank < n
    i = tl.load(order + rank, mask=here, other=0)
    a, _, _, det, limit = _conic(conic, opacities, i)
    reach = tl.sqrt(limit * a / det)
    y = tl.load(mean_px + 2 * i + 1)
    first, last = _pixels(y - reach, y + reach, height)
    seen = (tl.load(radius_px + 2 * i) > 0) & (tl.load(radius_px + 2 * i + 1) > 0)
    seen = seen & (tl.load(opacities + i) > ALPHA_MIN) & (first <= last)
    tl.store(first_row + rank, first // TILE_HEIGHT, mask=here)
    tl.store(rows + rank, tl.where(seen, last // TILE_HEIGHT - first // TILE_HEIGHT + 1, 0), mask=here)


@triton.jit
def _owner(ends, k, n, steps):
    """The first of ``n`` entries whose cumulative count in ``ends`` exceeds k, by bisection; must exist."""
    low = tl.zeros_like(k)
    high = low + (n - 1)
    for _ in range(steps):
        middle = (low + high) // 2
        beyond = tl.load(ends + middle) <= k
        low = tl.where(beyond, middle + 1, low)
        high = tl.where(beyond, high, middle)
    return low


@triton.jit(do_not_specialize=["n", "ranks", "steps"])
def row_spans(
    order, mean_px, conic, opacities, first_row, row_starts, ranks, steps, width, height, tiles_x,
    span_rank, span_tile, span_length, n,
    TILE_WIDTH: tl.constexpr, TILE_HEIGHT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The tiles that an ellipse touches in each of its rows of tiles.

    The span in a row runs from the leftmost to the rightmost point of the ellipse between the row's first
    and last pixel centres.

    Args:
        row_starts: [ranks + 1] start of each Gaussian's rows among all ``n`` rows.
        steps: of a bisection of ``ranks`` entries.
        span_rank, span_tile, span_length: [n] int32, written: its rank, first tile and number of tiles.
    """
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = k < n
    k = tl.minimum(k, n - 1)
    rank = _owner(row_starts + 1, k, ranks, steps)
    row = tl.load(first_row + rank) + k - tl.load(row_starts + rank)
    i = tl.load(order + rank)
    a, b, c, det, limit = _conic(conic, opacities, i)
    x, y = tl.load(mean_px + 2 * i), tl.load(mean_px + 2 * i + 1)
    # At height dy the ellipse spans -b/a dy +- sqrt((limit a - det dy^2) / a^2); it is rightmost at `right`.
    tall = tl.sqrt(limit * a / det)
    right = -b / c * tl.sqrt(limit * c / det)
    top = (row * TILE_HEIGHT).to(tl.float32) + 0.5 - y
    bottom = tl.minimum(row * TILE_HEIGHT + TILE_HEIGHT, height).to(tl.float32) - 0.5 - y
    low = tl.minimum(tl.maximum(top, -tall), tall)
    high = tl.minimum(tl.maximum(bottom, -tall), tall)
    at_right = tl.minimum(tl.maximum(right, low), high)
    at_left = tl.minimum(tl.maximum(-right, low), high)
    to_right = tl.sqrt(tl.maximum(limit * a - det * at_right * at_right, 0.0))
    to_left = tl.sqrt(tl.maximum(limit * a - det * at_left * at_left, 0.0))
    first, last = _pixels(x - (b * at_left + to_left) / a, x - (b * at_right - to_right) / a, width)
    first_tile, last_tile = first // TILE_WIDTH, last // TILE_WIDTH
    tl.store(span_rank + k, rank, mask=here)
    tl.store(span_tile + k, row * tiles_x + first_tile, mask=here)
    tl.store(span_length + k, tl.where(first <= last, last_tile - first_tile + 1, 0), mask=here)


@triton.jit(do_not_specialize=["n", "spans", "steps"])
def span_pairs(span_rank, span_tile, span_starts, spans, steps, pair_rank, pair_tile, n, BLOCK: tl.constexpr):
    """A (Gaussian, tile) pair for each tile of each of ``spans`` spans, ``n`` in all, in the spans' order."""
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = k < n
    k = tl.minimum(k, n - 1)
    span = _owner(span_starts + 1, k, spans, steps)
    tile = tl.load(span_tile + span) + k - tl.load(span_starts + span)
    tl.store(pair_rank + k, tl.load(span_rank + span), mask=here)
    tl.store(pair_tile + k, tile.to(pair_tile.dtype.element_ty), mask=here)
