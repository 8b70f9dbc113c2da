"""L1 (or squared) plus SSIM loss, with its gradient.

Channels stay interleaved: an image row of w pixels is 3 w floats, and neighbouring pixels are 3 floats apart.
SSIM needs four blurred maps (x, y, x^2 + y^2, x y); its gradient blurs three more.
"""

import numpy as np
import torch
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.arrays import as_array
from sfumato.ops.cpu.jit import lane_function, lane_kernel
from sfumato.ops.cpu.simd import lanes as ln

LANES = 16
RADIUS = constants.SSIM_WINDOW_PX // 2
_TAPS = np.exp(-((np.arange(-RADIUS, RADIUS + 1) / constants.SSIM_SIGMA_PX) ** 2) / 2)
_TAPS = (_TAPS / _TAPS.sum()).astype(np.float32)
_T0, _T1, _T2, _T3, _T4, _T5 = (np.float32(t) for t in _TAPS[: RADIUS + 1])
_C1, _C2 = np.float32(constants.SSIM_C1), np.float32(constants.SSIM_C2)
_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
# Rows blurred by one task, which also reads RADIUS more on either side.
_STRIP = 32
_SQUARED, _ABSOLUTE = 0, 1


@lane_function
def _taps(flat, at, step):
    """Weighted sum of the 11 vectors of lanes at ``step`` floats from each other around ``at``."""
    near = (ln.load(LANES, flat, at - step) + ln.load(LANES, flat, at + step)) * _T4
    near = near + (ln.load(LANES, flat, at - 2 * step) + ln.load(LANES, flat, at + 2 * step)) * _T3
    near = near + (ln.load(LANES, flat, at - 3 * step) + ln.load(LANES, flat, at + 3 * step)) * _T2
    far = (ln.load(LANES, flat, at - 4 * step) + ln.load(LANES, flat, at + 4 * step)) * _T1
    far = far + (ln.load(LANES, flat, at - 5 * step) + ln.load(LANES, flat, at + 5 * step)) * _T0
    return near + far + ln.load(LANES, flat, at) * _T5


def padded_row(width: int) -> int:
    """Length of a row buffer: a row padded to whole lanes, with the filter radius before and after it."""
    return 3 * RADIUS + -(-3 * width // LANES) * LANES + 3 * RADIUS


@lane_kernel
def ssim_statistics(image, target, row_length, maps, sums):
    """SSIM and its derivatives with respect to the blurred maps, a strip of rows at a time.

    Args:
        image, target: [h, 3 w] float32, already multiplied by the weights.
        row_length: padded_row(w).
        maps: [3, h, row_length] zeros; the derivatives of SSIM with respect to the blurred x, x^2 and x y are
            written from offset 3 * RADIUS of each row.
        sums: [h, row_length] zeros; SSIM is written from offset 0 of each row.
    """
    height, run = image.shape
    rows = _STRIP + 2 * RADIUS
    plane = rows * row_length
    flat_maps, flat_sums, map_size = maps.ravel(), sums.ravel(), height * row_length
    for strip in prange((height + _STRIP - 1) // _STRIP):
        first = strip * _STRIP
        line = np.zeros(4 * row_length, np.float32)
        blurred = np.zeros(4 * plane, np.float32)
        for row in range(rows):
            y = first + row - RADIUS
            if y < 0 or y >= height:
                continue
            for i in range(run):
                a, b = image[y, i], target[y, i]
                at = 3 * RADIUS + i
                line[at], line[row_length + at] = a, b
                line[2 * row_length + at], line[3 * row_length + at] = a * a + b * b, a * b
            for k in range(4):
                for i in range(0, run, LANES):
                    value = _taps(line, k * row_length + 3 * RADIUS + i, 3)
                    ln.store(blurred, k * plane + row * row_length + i, value)
        for y in range(first, min(first + _STRIP, height)):
            for i in range(0, run, LANES):
                at = (y - first + RADIUS) * row_length + i
                mean_x = _taps(blurred, at, row_length)
                mean_y = _taps(blurred, plane + at, row_length)
                squares = _taps(blurred, 2 * plane + at, row_length)
                product = _taps(blurred, 3 * plane + at, row_length)
                mean_xy, mean_squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
                luminance, structure = mean_xy * _TWO + _C1, (product - mean_xy) * _TWO + _C2
                inverse_1 = _ONE / (mean_squares + _C1)
                inverse_2 = _ONE / (squares - mean_squares + _C2)
                both = inverse_1 * inverse_2
                ssim = luminance * structure * both
                to_mean = (mean_y * (structure - luminance)) * both + ssim * mean_x * (inverse_2 - inverse_1)
                out = y * row_length + i
                ln.store(flat_sums, out, ssim)
                ln.store(flat_maps, out + 3 * RADIUS, to_mean * _TWO)
                ln.store(flat_maps, map_size + out + 3 * RADIUS, ssim * inverse_2 * -_ONE)
                ln.store(flat_maps, 2 * map_size + out + 3 * RADIUS, luminance * both * _TWO)


@lane_function
def _spread_weights(weight, y, weights):
    """Repeat the weights of a row for the three channels; without weights, ``weights`` stays 1."""
    for x in range(weight.shape[1]):
        weights[3 * x] = weights[3 * x + 1] = weights[3 * x + 2] = weight[y, x]


@lane_kernel
def photometric_gradient(
    image, target, weight, row_length, maps, sums, ssim_scale, pixel_scale, pixel_loss, gradient, row_losses
):
    """Loss of each row, and the gradient to the image.

    Args:
        image, target: [h, 3 w] float32, not multiplied by the weights.
        weight: [h, w] float32, or [0, 0] for equal weights.
        maps, sums: from ssim_statistics.
        ssim_scale, pixel_scale: factors of 1 - SSIM and of the pixel losses.
        pixel_loss: _ABSOLUTE or _SQUARED.
        gradient: [h, 3 w] float32, written.
        row_losses: [h] float64, written.
    """
    height, run = image.shape
    map_size = height * row_length
    flat_maps = maps.ravel()
    for strip in prange((height + _STRIP - 1) // _STRIP):
        first = strip * _STRIP
        last = min(first + _STRIP, height)
        line, weights = np.zeros(row_length, np.float32), np.ones(run, np.float32)
        mixed, losses = np.empty(3 * row_length, np.float32), np.zeros(row_length, np.float32)
        plane = (_STRIP + 2 * RADIUS) * row_length
        blurred = np.zeros(3 * plane, np.float32)
        for y in range(max(first - RADIUS, 0), min(last + RADIUS, height)):
            _spread_weights(weight, y, weights)
            for k in range(3):
                at = k * map_size + y * row_length + 3 * RADIUS
                for i in range(run):
                    line[3 * RADIUS + i] = flat_maps[at + i] * weights[i]
                at = k * plane + (y - first + RADIUS) * row_length
                for i in range(0, run, LANES):
                    ln.store(blurred, at + i, _taps(line, 3 * RADIUS + i, 3))
        for y in range(first, last):
            _spread_weights(weight, y, weights)
            for k in range(3):
                at = k * plane + (y - first + RADIUS) * row_length
                for i in range(0, run, LANES):
                    ln.store(mixed, k * row_length + i, _taps(blurred, at + i, row_length))
            for i in range(run):
                w, a, b = weights[i], image[y, i], target[y, i]
                difference = a - b
                if pixel_loss == _ABSOLUTE:
                    slope = _ONE if difference > 0 else (-_ONE if difference < 0 else _ZERO)
                    value = abs(difference)
                else:
                    slope, value = _TWO * difference, difference * difference
                losses[i] = w * (pixel_scale * value + ssim_scale * (_ONE - sums[y, i]))
                to_image = mixed[i] + w * (_TWO * a * mixed[row_length + i] + b * mixed[2 * row_length + i])
                gradient[y, i] = w * (pixel_scale * slope - ssim_scale * to_image)
            sum_ = ln.load(LANES, losses, 0)
            for i in range(LANES, run, LANES):
                sum_ = sum_ + ln.load(LANES, losses, i)
            row_losses[y] = ln.total(sum_)


def forward(image, target, weight, ssim_weight, pixel_loss):
    """The loss, and its gradient to the image; see sfumato.ops.photometric_loss."""
    height, width, _ = image.shape
    x, y, w = (as_array(t) for t in (image, target, weight))
    x, y = x.reshape(height, -1), y.reshape(height, -1)
    row_length = padded_row(width)
    maps = np.zeros((3, height, row_length), np.float32)
    ssim = np.zeros((height, row_length), np.float32)
    spread = np.repeat(w, 3, axis=1) if w.size else None
    weighted = (x, y) if spread is None else (x * spread, y * spread)
    ssim_statistics(*weighted, row_length, maps, ssim)
    total = 3 * float(w.sum(dtype=np.float64)) if w.size else x.size
    scale = 1 / total if total > 0 else 0.0
    gradient, losses = np.empty_like(x), np.empty(height, np.float64)
    scales = np.float32(ssim_weight * scale), np.float32((1 - ssim_weight) * scale)
    kind = _ABSOLUTE if pixel_loss == "l1" else _SQUARED
    photometric_gradient(x, y, w, row_length, maps, ssim, *scales, kind, gradient, losses)
    return image.new_tensor(losses.sum()), torch.from_numpy(gradient.reshape(image.shape))
