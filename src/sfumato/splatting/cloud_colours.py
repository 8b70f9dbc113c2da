"""Colours of measured points: from the cloud, else intensity as grey, else height as a colour ramp."""

from __future__ import annotations

import numpy as np

from sfumato.scene.files.colour_space import encoded
from sfumato.splatting.measured import MeasuredCloud

# Percentiles at which the ramp begins and ends, so that outliers do not determine it.
_RAMP_PERCENTILES = (1.0, 99.0)
# The ramp in Oklab: lightness increases linearly, and hue (radians) runs from violet through green to yellow.
_LIGHTNESS, _HUES, _CHROMA = (0.3, 0.92), (5.0, 1.85), 0.11
_Z_UP = (0.0, 0.0, 1.0)
# From Oklab to cube roots of cone responses, and from their cubes to linear sRGB (Ottosson 2020).
_CONES_FROM_LAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LINEAR_FROM_CONES = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def colours_of(cloud: MeasuredCloud) -> tuple[np.ndarray, str]:
    """[n, 3] float32 sRGB-encoded colours in [0, 1], and their source: "rgb", "intensity" or "height"."""
    # Some programs write colour fields that are all zero.
    if cloud.rgb is not None and (most := float(cloud.rgb.max(initial=0))) > 0:
        whole = cloud.colour_range or next((top for top in (1.0, 255.0) if most <= top), 65535.0)
        return np.clip(cloud.rgb / np.float32(whole), 0, 1), "rgb"
    if cloud.intensity is not None and np.ptp(cloud.intensity) > 0:
        return _ramp(cloud.intensity[:, 0].astype(np.float64), 0.0), "intensity"
    return _ramp(cloud.xyz @ np.array(cloud.up or _Z_UP), _CHROMA), "height"


def _ramp(values: np.ndarray, chroma: float) -> np.ndarray:
    """[n, 3] colours of values [n] with linear perceived lightness.

    Source: Ottosson 2020, A perceptual color space for image processing (Oklab).
    """
    low, high = np.percentile(values, _RAMP_PERCENTILES)
    share = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    hue = _HUES[0] + share * (_HUES[1] - _HUES[0])
    lightness = _LIGHTNESS[0] + share * (_LIGHTNESS[1] - _LIGHTNESS[0])
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    return encoded(np.clip((lab @ _CONES_FROM_LAB.T) ** 3 @ _LINEAR_FROM_CONES.T, 0, 1))
