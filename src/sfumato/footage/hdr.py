"""Tone mapping of high dynamic range and wide gamut to sRGB."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PQ, HLG, BT2020_SDR = "pq", "hlg", "bt2020"

TRANSFERS = {16: PQ, 18: HLG}
"""Transfer functions of high dynamic range by their code (ITU-T H.273, table 3)."""

WHITE_NITS = 203.0
"""Diffuse white of HDR video (ITU-R BT.2408)."""

PEAK_NITS = 1000.0
"""Peak of the reference display of HLG (BT.2100), on which most PQ video is graded too; brighter light
becomes white."""

_KNEE = 0.5
_STRIP_ROWS = 128
_TABLE = 1 << 14

# BT.2020 to BT.709 primaries, both with white D65 (ITU-R BT.2087, with the roles exchanged).
_BT709_FROM_BT2020 = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ],
    np.float32,
)
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)


def pq_to_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Display light [...] in nits of PQ-encoded values [...] in [0, 1].

    Source: SMPTE ST 2084 (ITU-R BT.2100, table 4): with p = E'^(1/m2),
        F = 10000 (max(p - c1, 0) / (c2 - c3 p))^(1/m1).
    """
    m1, m2 = 2610.0 / 16384.0, 2523.0 / 4096.0 * 128.0
    c1, c2, c3 = 3424.0 / 4096.0, 2413.0 / 4096.0 * 32.0, 2392.0 / 4096.0 * 32.0
    power = np.power(signal, 1.0 / m2)
    return 10000.0 * np.power(np.maximum(power - c1, 0.0) / (c2 - c3 * power), 1.0 / m1)


def hlg_to_scene(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scene light [...] in [0, 1] of HLG-encoded values [...] in [0, 1].

    Source: ARIB STD-B67 (ITU-R BT.2100, table 5): E = E'^2 / 3 up to E' = 1/2, above it
        (exp((E' - c) / a) + b) / 12.
    """
    a, b = 0.17883277, 0.28466892
    c = 0.5 - a * np.log(4.0 * a)
    return np.where(signal <= 0.5, signal**2 / 3.0, (np.exp((signal - c) / a) + b) / 12.0)


def srgb_encode(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB values [...] of linear light [...] in [0, 1] (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1.0 / 2.4) - 0.055)


def tone_curve(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light [...], 1 at diffuse white, compressed into [0, 1].

    The lower half of the range is unchanged. Above the knee k, with u = (x - k) / (1 - k) and w its value at
    the peak, the result is k + (1 - k) u (1 + u / w²) / (1 + u): smooth at the knee, and 1 at the peak.

    Source: Reinhard et al. 2002, eq. 4, shifted to begin at the knee.
    """
    w = (PEAK_NITS / WHITE_NITS - _KNEE) / (1.0 - _KNEE)
    u = np.clip((light - _KNEE) / (1.0 - _KNEE), 0.0, w)
    return np.where(light <= _KNEE, light, _KNEE + (1.0 - _KNEE) * u * (1.0 + u / w**2) / (1.0 + u))


def to_srgb(picture: NDArray[np.uint16], transfer: str) -> NDArray[np.uint8]:
    """Convert a BT.2020 picture to sRGB.

    All channels are scaled by the compression of the largest one, which preserves hues; colours outside sRGB
    are clipped.

    Args:
        picture: [h, w, 3] encoded R'G'B', 0 to 65535.
        transfer: "pq", "hlg", or "bt2020" for wide gamut without high dynamic range.

    Returns:
        [h, w, 3].
    """
    linear = _linear_table(transfer)
    encode = _srgb_table()
    result = np.empty(picture.shape, np.uint8)
    for top in range(0, len(picture), _STRIP_ROWS):
        light = linear[picture[top : top + _STRIP_ROWS]]
        if transfer == HLG:
            # The system gamma of 1.2, applied to luminance (BT.2100, table 5).
            light *= (PEAK_NITS / WHITE_NITS) * np.power(light @ _BT2020_LUMA, 0.2)[..., None]
        light = np.maximum(light @ _BT709_FROM_BT2020.T, 0.0)
        if transfer != BT2020_SDR:
            largest = light.max(axis=2, keepdims=True)
            light *= tone_curve(largest) / np.maximum(largest, 1e-6)
        at = np.sqrt(np.minimum(light, 1.0)) * np.float32(_TABLE - 1) + np.float32(0.5)
        result[top : top + _STRIP_ROWS] = encode[at.astype(np.int32)]
    return result


@lru_cache(maxsize=3)
def _linear_table(transfer: str) -> NDArray[np.float32]:
    """[65536] linear light of each encoded value."""
    signal = np.arange(65536) / 65535.0
    curves: dict[str, Callable[[], NDArray[np.float64]]] = {
        PQ: lambda: pq_to_nits(signal) / WHITE_NITS,
        HLG: lambda: hlg_to_scene(signal),
        # The gamma by which displays show SDR video, close to sRGB's.
        BT2020_SDR: lambda: np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4),
    }
    return curves[transfer]().astype(np.float32)


@lru_cache(maxsize=1)
def _srgb_table() -> NDArray[np.uint8]:
    """sRGB bytes as a function of the square root of linear light, which resolves dark tones finely
    enough."""
    light = (np.arange(_TABLE) / (_TABLE - 1)) ** 2
    return np.rint(srgb_encode(light) * 255.0).astype(np.uint8)
