"""Blending of a tile's Gaussians, forward and backward: one warp per tile, one pixel per lane and row.

Pixels are tensors of [ROWS, 32], a row in a register of each lane. The exponent is a quadratic in the row
about the tile's centre with coefficients for each lane: two fused multiply-adds per pixel and Gaussian. The
transmittance also decreases after a pixel has stopped: Gaussians count while it is above TRANSMITTANCE_STOP.
"""

import math

import triton
import triton.language as tl

from sfumato.ops import constants
from sfumato.ops.gpu.kernels.splat_records import GEOMETRY, MOMENTS

ALPHA_MAX = tl.constexpr(constants.ALPHA_MAX)
LOG2_ALPHA_MIN = tl.constexpr(math.log2(constants.ALPHA_MIN))
STOP = tl.constexpr(constants.TRANSMITTANCE_STOP)
# Gaussians between two checks whether any pixel of the tile is still transparent.
BETWEEN_CHECKS = tl.constexpr(16)


@triton.jit
def _pixels(tile, across, width, height, pitch, shift, ROWS: tl.constexpr, TILE_WIDTH: tl.constexpr):
    """The tile's centre, px; u [1, 32] and v [ROWS, 32] about it; addresses, and which are in the image.

    ``shift`` is 0 but not specialised: otherwise the compiler assigns four pixels to a lane, not one.
    """
    TALL: tl.constexpr = ROWS * 32 // TILE_WIDTH
    lane, row = tl.arange(0, 32)[None, :], tl.arange(0, ROWS)[:, None]
    left, top = (tile % across) * TILE_WIDTH, (tile // across) * TALL
    x, y = lane % TILE_WIDTH, row * (32 // TILE_WIDTH) + lane // TILE_WIDTH
    u = x.to(tl.float32) + (0.5 - TILE_WIDTH / 2)
    v = y.to(tl.float32) + (0.5 - TALL / 2)
    inside = (left + x < width) & (top + y < height)
    at = (top + y) * pitch + left + x + shift
    return left.to(tl.float32) + TILE_WIDTH / 2, top.to(tl.float32) + TALL / 2, u, v, at, inside


@triton.jit
def _shape(record):
    """Geometry of a record."""
    return (
        tl.load(record), tl.load(record + 1), tl.load(record + 2),
        tl.load(record + 3), tl.load(record + 4), tl.load(record + 5),
    )  # fmt: skip


@triton.jit
def _channels(record, CHANNELS: tl.constexpr):
    """Four channels of a record; missing ones repeat the first and are not used."""
    at = record + GEOMETRY
    first = tl.load(at)
    return (
        first,
        tl.load(at + 1) if CHANNELS > 1 else first,
        tl.load(at + 2) if CHANNELS > 2 else first,
        tl.load(at + 3) if CHANNELS > 3 else first,
    )


@triton.jit
def _exponent(x, y, a, b, c, peak, u, v):
    """log2 of alpha before clamping, and dx [1, 32], for a centre (x, y) relative to the tile's."""
    dx = u - x
    lift = c * y
    constant = (peak - lift * y) - dx * (a * dx - b * y)
    slope = 2.0 * lift - b * dx
    return constant + v * (slope - c * v), dx


@triton.jit(do_not_specialize=["shift", "across", "width", "height"])
def blend(
    records, pair_rank, tile_starts, background, planes, across, width, height, pitch, plane, shift,
    CHANNELS: tl.constexpr, RECORD: tl.constexpr, ROWS: tl.constexpr, TILE_WIDTH: tl.constexpr,
):  # fmt: skip
    """Blend the Gaussians of one tile over the background.

    Args:
        records: [n, RECORD] from splat_records, of 1 to 4 channels.
        planes: [CHANNELS + 1, ...] the channels and alpha in whole tiles, written.
        across, pitch, plane: tiles per row, pixels per row, and pixels per plane.
    """
    tile = tl.program_id(0)
    middle_x, middle_y, u, v, at, inside = _pixels(
        tile, across, width, height, pitch, shift, ROWS, TILE_WIDTH
    )
    transmittance = tl.where(inside, 1.0, 0.0)
    alpha = tl.zeros([ROWS, 32], tl.float32)
    sum_0 = tl.zeros([ROWS, 32], tl.float32)
    sum_1 = tl.zeros([ROWS, 32], tl.float32)
    sum_2 = tl.zeros([ROWS, 32], tl.float32)
    sum_3 = tl.zeros([ROWS, 32], tl.float32)
    pair, end = tl.load(tile_starts + tile), tl.load(tile_starts + tile + 1)
    transparent = 1
    while (pair < end) & (transparent > 0):
        until = tl.minimum(pair + BETWEEN_CHECKS, end)
        for k in range(pair, until):
            record = records + tl.load(pair_rank + k) * RECORD
            x, y, a, b, c, peak = _shape(record)
            c_0, c_1, c_2, c_3 = _channels(record, CHANNELS)
            power, _ = _exponent(x - middle_x, y - middle_y, a, b, c, peak, u, v)
            share = tl.minimum(tl.exp2(power), ALPHA_MAX)
            share = tl.where(power >= LOG2_ALPHA_MIN, share, 0.0)
            weight = share * transmittance
            transmittance = transmittance - weight
            weight = tl.where(transmittance > STOP, weight, 0.0)
            alpha += weight
            sum_0 += weight * c_0
            if CHANNELS > 1:
                sum_1 += weight * c_1
            if CHANNELS > 2:
                sum_2 += weight * c_2
            if CHANNELS > 3:
                sum_3 += weight * c_3
        transparent = (tl.max(transmittance) > STOP).to(tl.int32)
        pair = until
    behind = 1.0 - alpha
    tl.store(planes + at, sum_0 + behind * tl.load(background))
    if CHANNELS > 1:
        tl.store(planes + plane + at, sum_1 + behind * tl.load(background + 1))
    if CHANNELS > 2:
        tl.store(planes + 2 * plane + at, sum_2 + behind * tl.load(background + 2))
    if CHANNELS > 3:
        tl.store(planes + 3 * plane + at, sum_3 + behind * tl.load(background + 3))
    tl.store(planes + CHANNELS * plane + at, alpha)


@triton.jit
def _put(row, column, place: tl.constexpr, value):
    """The row of sums with the total of ``value`` in a column."""
    return tl.where(column == place, tl.sum(value), row)


@triton.jit
def _moments(grad, dx, y, v, column):
    """A row of sums with moments of ``grad`` about a centre at height y; summed over a lane's rows first."""
    lifted = grad * v
    p_0 = tl.sum(grad, 0, keep_dims=True)
    p_1 = tl.sum(lifted, 0, keep_dims=True)
    p_2 = tl.sum(lifted * v, 0, keep_dims=True)
    p_2 = p_2 - y * (2.0 * p_1 - y * p_0)
    p_1 = p_1 - y * p_0
    row = tl.where(column == 0, tl.sum(p_0), 0.0)
    row = _put(row, column, 1, p_0 * dx)
    row = _put(row, column, 2, p_1)
    row = _put(row, column, 3, p_0 * dx * dx)
    row = _put(row, column, 4, p_1 * dx)
    return _put(row, column, 5, p_2)


@triton.jit
def _to_log_alpha(power, u_dot_c, transmittance, remaining):
    """A Gaussian's weight, g = alpha dL/dalpha, and the updated transmittance and remaining sum.

    With f = weight <dL/dC, c>, and S the contribution of the Gaussians behind to <dL/dC, C>:
    g = f - S alpha / (1 - alpha).
    """
    raw = tl.exp2(power)
    alpha = tl.where(power >= LOG2_ALPHA_MIN, tl.minimum(raw, ALPHA_MAX), 0.0)
    weight = alpha * transmittance
    transmittance = transmittance - weight
    blended = transmittance > STOP
    weight = tl.where(blended, weight, 0.0)
    own = weight * u_dot_c
    remaining = remaining - own
    root = tl.rsqrt(1.0 - alpha)
    grad = own - (alpha * remaining) * (root * root)
    # A clamped alpha has no gradient.
    grad = tl.where(blended & (raw < ALPHA_MAX), grad, 0.0)
    return weight, grad, transmittance, remaining


@triton.jit(do_not_specialize=["shift", "across", "width", "height"])
def blend_backward(
    records, pair_rank, pair_slot, tile_starts, upstream, sums, across, width, height, pitch, plane, shift,
    CHANNELS: tl.constexpr, RECORD: tl.constexpr, COLUMNS: tl.constexpr, ABSOLUTE: tl.constexpr,
    ROWS: tl.constexpr, TILE_WIDTH: tl.constexpr,
):  # fmt: skip
    """Sums over a tile's pixels for each of its pairs, front to back; for up to 4 channels.

    Args:
        upstream: [CHANNELS + 2, ...] in whole tiles: the gradients of the channels and of alpha, and their
            inner product with the channels and alpha.
        sums: [p, COLUMNS] zeros, written in the order of emission: moments, channels, absolute values.
    """
    tile = tl.program_id(0)
    middle_x, middle_y, u, v, at, inside = _pixels(
        tile, across, width, height, pitch, shift, ROWS, TILE_WIDTH
    )
    to_0 = tl.load(upstream + at)
    to_1 = tl.load(upstream + plane + at) if CHANNELS > 1 else to_0
    to_2 = tl.load(upstream + 2 * plane + at) if CHANNELS > 2 else to_0
    to_3 = tl.load(upstream + 3 * plane + at) if CHANNELS > 3 else to_0
    to_alpha = tl.load(upstream + CHANNELS * plane + at)
    remaining = tl.load(upstream + (CHANNELS + 1) * plane + at)
    transmittance = tl.where(inside, 1.0, 0.0)
    column = tl.arange(0, 16)
    pair, end = tl.load(tile_starts + tile), tl.load(tile_starts + tile + 1)
    transparent = 1
    while (pair < end) & (transparent > 0):
        until = tl.minimum(pair + BETWEEN_CHECKS, end)
        for k in range(pair, until):
            record = records + tl.load(pair_rank + k) * RECORD
            x, y, a, b, c, peak = _shape(record)
            c_0, c_1, c_2, c_3 = _channels(record, CHANNELS)
            x, y = x - middle_x, y - middle_y
            power, dx = _exponent(x, y, a, b, c, peak, u, v)
            u_dot_c = to_alpha + to_0 * c_0
            if CHANNELS > 1:
                u_dot_c += to_1 * c_1
            if CHANNELS > 2:
                u_dot_c += to_2 * c_2
            if CHANNELS > 3:
                u_dot_c += to_3 * c_3
            weight, grad, transmittance, remaining = _to_log_alpha(power, u_dot_c, transmittance, remaining)
            row = _moments(grad, dx, y, v, column)
            row = _put(row, column, MOMENTS, tl.sum(weight * to_0, 0))
            if CHANNELS > 1:
                row = _put(row, column, MOMENTS + 1, tl.sum(weight * to_1, 0))
            if CHANNELS > 2:
                row = _put(row, column, MOMENTS + 2, tl.sum(weight * to_2, 0))
            if CHANNELS > 3:
                row = _put(row, column, MOMENTS + 3, tl.sum(weight * to_3, 0))
            if ABSOLUTE:
                dy = v - y
                to_x, to_y = tl.abs(grad * (2.0 * a * dx + b * dy)), tl.abs(grad * (b * dx + 2.0 * c * dy))
                row = _put(row, column, MOMENTS + CHANNELS, tl.sum(to_x, 0))
                row = _put(row, column, MOMENTS + CHANNELS + 1, tl.sum(to_y, 0))
            slot = tl.load(pair_slot + k).to(tl.int64)
            tl.store(sums + slot * COLUMNS + column, row, mask=column < COLUMNS)
        transparent = (tl.max(transmittance) > STOP).to(tl.int32)
        pair = until


@triton.jit(do_not_specialize=["shift", "across", "width", "height"])
def blend_backward_many(
    records, pair_rank, pair_slot, tile_starts, upstream, sums, across, width, height, pitch, plane, shift,
    channels, RECORD: tl.constexpr, COLUMNS: tl.constexpr, ABSOLUTE: tl.constexpr,
    ROWS: tl.constexpr, TILE_WIDTH: tl.constexpr,
):  # fmt: skip
    """The same for any number of ``channels``, whose gradients are loaded again for each Gaussian."""
    tile = tl.program_id(0)
    middle_x, middle_y, u, v, at, inside = _pixels(
        tile, across, width, height, pitch, shift, ROWS, TILE_WIDTH
    )
    to_alpha = tl.load(upstream + channels * plane + at)
    remaining = tl.load(upstream + (channels + 1) * plane + at)
    transmittance = tl.where(inside, 1.0, 0.0)
    column = tl.arange(0, 8)
    pair, end = tl.load(tile_starts + tile), tl.load(tile_starts + tile + 1)
    transparent = 1
    while (pair < end) & (transparent > 0):
        until = tl.minimum(pair + BETWEEN_CHECKS, end)
        for k in range(pair, until):
            record = records + tl.load(pair_rank + k) * RECORD
            x, y, a, b, c, peak = _shape(record)
            x, y = x - middle_x, y - middle_y
            power, dx = _exponent(x, y, a, b, c, peak, u, v)
            u_dot_c = to_alpha
            for channel in range(channels):
                u_dot_c += tl.load(upstream + channel * plane + at) * tl.load(record + GEOMETRY + channel)
            weight, grad, transmittance, remaining = _to_log_alpha(power, u_dot_c, transmittance, remaining)
            out = sums + tl.load(pair_slot + k).to(tl.int64) * COLUMNS
            row = _moments(grad, dx, y, v, column)
            tl.store(out + column, row, mask=column < MOMENTS)
            for channel in range(channels):
                tl.store(out + MOMENTS + channel, tl.sum(weight * tl.load(upstream + channel * plane + at)))
            if ABSOLUTE:
                dy = v - y
                to_x, to_y = tl.abs(grad * (2.0 * a * dx + b * dy)), tl.abs(grad * (b * dx + 2.0 * c * dy))
                tl.store(out + MOMENTS + channels, tl.sum(to_x))
                tl.store(out + MOMENTS + channels + 1, tl.sum(to_y))
        transparent = (tl.max(transmittance) > STOP).to(tl.int32)
        pair = until
