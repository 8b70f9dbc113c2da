"""Conversion between linear and sRGB-encoded colours, also in SH coefficients."""

import numpy as np

from sfumato.scene.files import values

# End of the curve's linear segment, in linear and in encoded values (IEC 61966-2-1).
_LINEAR_END, _ENCODED_END = 0.0031308, 0.04045


def encoded(linear: np.ndarray) -> np.ndarray:
    """sRGB-encoded float32 values of linear ones; the linear segment extends below 0."""
    curve = 1.055 * np.maximum(linear, _LINEAR_END) ** (1 / 2.4) - 0.055
    return np.where(linear <= _LINEAR_END, linear * 12.92, curve).astype(np.float32)


def linear(encoded: np.ndarray) -> np.ndarray:
    """Linear float32 values of sRGB-encoded ones of 0 and more."""
    curve = ((encoded + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= _ENCODED_END, encoded / 12.92, curve).astype(np.float32)


def encode_sh(sh: np.ndarray) -> None:
    """Convert SH of linear colours to SH of sRGB-encoded ones, in place.

    Exact for the base colour; view-dependent terms are scaled by the curve's slope there.

    Args:
        sh: [n, k, 3] float32.
    """
    base = values.colour_of_base(sh[:, 0])
    inside = np.clip(base, _LINEAR_END, 1)
    slope = np.where(base <= _LINEAR_END, 12.92, 1.055 / 2.4 * inside ** (1 / 2.4 - 1))
    sh[:, 0] = values.base_of_colour(encoded(base))
    sh[:, 1:] *= slope[:, None].astype(np.float32)
