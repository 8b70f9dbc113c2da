"""The yardstick of benchmarks/rasterizer.py: the same blending as a plain scalar Numba loop.

One loop over the tile's Gaussians, rows and columns with ``math.exp``, exact row spans and the same
decisions, as one writes it first. It also counts the pairs, for the figures per pair.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import prange

from sfumato.ops import constants
from sfumato.ops.cpu.raster.tiles import TILE_HEIGHT, TILE_WIDTH

ALPHA_MIN = np.float32(constants.ALPHA_MIN)
ALPHA_MAX = np.float32(constants.ALPHA_MAX)
STOP = np.float32(constants.TRANSMITTANCE_STOP)
HALF, ONE = np.float32(0.5), np.float32(1.0)


@numba.njit(error_model="numpy")
def _span(dy, a, b, c, level):
    """First and last dx of a row where the exponent is at most ``level``; an empty one if nowhere."""
    under = b * b * dy * dy - a * (c * dy * dy - 2 * level)
    if under < 0:
        return HALF, -HALF
    root = np.sqrt(under)
    return (-b * dy - root) / a, (-b * dy + root) / a


@numba.njit(parallel=True, fastmath={"nsz", "arcp", "contract", "afn", "reassoc"}, error_model="numpy")
def composite(order, pair_rank, tile_starts, mean, conic, opacity, colour, width, height, image):
    """Blend every tile into ``image`` [h, w, 3] over black; returns the pairs blended in each tile."""
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    blended = np.zeros(tile_starts.size - 1, np.int64)
    for tile in prange(tile_starts.size - 1):
        left, top = tile % tiles_x * TILE_WIDTH, tile // tiles_x * TILE_HEIGHT
        right, bottom = min(left + TILE_WIDTH, width), min(top + TILE_HEIGHT, height)
        through = np.ones((TILE_HEIGHT, TILE_WIDTH), np.float32)
        for pair in range(tile_starts[tile], tile_starts[tile + 1]):
            i = order[pair_rank[pair]]
            a, b, c = conic[i, 0], conic[i, 1], conic[i, 2]
            level = np.log(opacity[i] / ALPHA_MIN)
            reach = np.sqrt(2 * level * a / (a * c - b * b))
            first_row = max(top, int(np.ceil(mean[i, 1] - reach - HALF)))
            last_row = min(bottom - 1, int(np.floor(mean[i, 1] + reach - HALF)))
            for y in range(first_row, last_row + 1):
                dy = np.float32(y) + HALF - mean[i, 1]
                low, high = _span(dy, a, b, c, level)
                x0 = max(left, int(np.ceil(mean[i, 0] + low - HALF)))
                x1 = min(right - 1, int(np.floor(mean[i, 0] + high - HALF)))
                for x in range(x0, x1 + 1):
                    t = through[y - top, x - left]
                    if t <= STOP:
                        continue
                    dx = np.float32(x) + HALF - mean[i, 0]
                    power = HALF * (a * dx * dx + c * dy * dy) + b * dx * dy
                    alpha = min(ALPHA_MAX, opacity[i] * np.float32(math.exp(-power)))
                    if t * (ONE - alpha) <= STOP:
                        through[y - top, x - left] = 0
                        continue
                    blended[tile] += 1
                    for k in range(3):
                        image[y, x, k] += colour[i, k] * alpha * t
                    through[y - top, x - left] = t * (ONE - alpha)
    return blended


@numba.njit(parallel=True, error_model="numpy")
def count_pairs(mean, conic, opacity, width, height):
    """Pairs of a Gaussian and a pixel whose alpha reaches 1/255, for each Gaussian."""
    counts = np.zeros(len(mean), np.int64)
    for i in prange(len(mean)):
        a, b, c = conic[i, 0], conic[i, 1], conic[i, 2]
        level = np.log(opacity[i] / ALPHA_MIN)
        reach = np.sqrt(2 * level * a / (a * c - b * b))
        first_row = max(0, int(np.ceil(mean[i, 1] - reach - HALF)))
        for y in range(first_row, min(height - 1, int(np.floor(mean[i, 1] + reach - HALF))) + 1):
            low, high = _span(np.float32(y) + HALF - mean[i, 1], a, b, c, level)
            x0 = max(0, int(np.ceil(mean[i, 0] + low - HALF)))
            counts[i] += max(0, min(width - 1, int(np.floor(mean[i, 0] + high - HALF))) - x0 + 1)
    return counts
