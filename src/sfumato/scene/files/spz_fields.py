"""Quantisation of each attribute of Gaussians in `.spz` files, and the file's axes.

Attributes are stored one after another in the order of ``widths``, each as rows of bytes. They are in the
file's axes: right, up, back unless an extension names others. The frame of a scene has right, down, front
like the field's `.ply` files.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from sfumato.maths.sh_rotation import sh_rotation
from sfumato.scene.files import values
from sfumato.scene.files.rounding import FAR_SHARE, typical_log_size

AXES_RUB = 4
# Range of log scales in 8 bits.
MAX_LOG_SCALE = 255 / 16 - 10
MIN_LOG_SCALE = -10.0
# Fractional bits of fixed-point positions: as in reference files, or more if Gaussians are small, so that a
# step is below 1/16 of their typical size, down to the smallest scale of the format.
_FRACTIONAL_BITS, _MOST_FRACTIONAL_BITS, _STEPS_PER_SIZE = 12, 19, 16
LEAST_STEPS_PER_SIZE = 4
# The largest 24-bit number, with room for rounding.
_LARGEST = 2**23 - 2
_COLOUR_SCALE = 0.15
_ROOT_HALF = np.float32(math.sqrt(0.5))
_XYZW = [1, 2, 3, 0]
_WXYZ = [3, 0, 1, 2]

_BYTES = np.arange(256, dtype=np.float32)
_LOG_SCALES = _BYTES / 16 - 10
_BASES = (_BYTES / 255 - np.float32(0.5)) / np.float32(_COLOUR_SCALE)
_COEFFICIENTS = (_BYTES - 128) / 128


def widths(version: int, degree: int) -> dict[str, int]:
    """Bytes of one Gaussian in each attribute, in the order of the file."""
    return {
        "positions": 6 if version == 1 else 9,
        "alphas": 1,
        "colours": 3,
        "scales": 3,
        "rotations": 4 if version >= 3 else 3,
        "sh": 3 * ((degree + 1) ** 2 - 1),
    }


def unpack_positions(packed: np.ndarray, fractional_bits: int) -> np.ndarray:
    """[n, 3] float32 of [n, 9] bytes of fixed point, or of [n, 6] bytes of float16."""
    if packed.shape[1] == 6:
        return packed.view("<f2").astype(np.float32)
    words = np.zeros((len(packed), 3, 4), np.uint8)
    words[:, :, 1:] = packed.reshape(-1, 3, 3)
    # The number is in the upper three bytes, so that the shift extends its sign.
    return (words.view("<i4")[:, :, 0] >> 8) * np.float32(0.5**fractional_bits)


def pack_positions(means: np.ndarray, fractional_bits: int) -> np.ndarray:
    """[n, 9] bytes of [n, 3] positions within range."""
    steps = np.rint(means.astype(np.float64) * 2.0**fractional_bits).astype("<i4")
    return steps.view(np.uint8).reshape(-1, 3, 4)[:, :, :3].reshape(-1, 9)


def fractional_bits(means: np.ndarray, log_scales: np.ndarray) -> int | None:
    """Number of fractional bits of 24, or None if too many positions do not fit.

    As many as all positions allow, up to what the Gaussians' sizes need; if steps would be larger than a
    quarter of their typical size, the farthest (``FAR_SHARE``) are ignored.
    """
    if not len(means):
        return _FRACTIONAL_BITS
    typical = typical_log_size(log_scales) / math.log(2)
    wanted = math.ceil(math.log2(_STEPS_PER_SIZE) - typical)
    wanted = min(max(wanted, _FRACTIONAL_BITS), _MOST_FRACTIONAL_BITS)
    extents = np.sort(np.abs(means).max(axis=1).astype(np.float64))
    all_fit = _most_bits(float(extents[-1]), wanted)
    least = min(math.ceil(math.log2(LEAST_STEPS_PER_SIZE) - typical), wanted)
    if all_fit is not None and all_fit >= least:
        return all_fit
    return _most_bits(float(extents[len(means) - 1 - int(FAR_SHARE * len(means))]), max(least, 0))


def reach(bits: int) -> float:
    """The largest position with this many fractional bits of 24."""
    return _LARGEST / 2.0**bits


def _most_bits(extent: float, wanted: int) -> int | None:
    """The most fractional bits, up to ``wanted``, with which a position fits; None if it never does."""
    return next((bits for bits in range(wanted, -1, -1) if extent <= reach(bits)), None)


def unpack_alphas(packed: np.ndarray) -> np.ndarray:
    """[n] float32 logits of [n, 1] bytes."""
    return _LOGITS[packed[:, 0]]


def pack_alphas(logits: np.ndarray) -> np.ndarray:
    """[n, 1] bytes of [n] logits."""
    return to_bytes(values.opacities_of_logits(logits) * 255)[:, None]


def unpack_colours(packed: np.ndarray) -> np.ndarray:
    """[n, 3] float32 coefficients of degree 0 of [n, 3] bytes."""
    return _BASES[packed]


def pack_colours(base: np.ndarray) -> np.ndarray:
    """[n, 3] bytes of [n, 3] coefficients of degree 0, clamped beyond 3.3."""
    return to_bytes((base * np.float32(_COLOUR_SCALE) + np.float32(0.5)) * 255)


def unpack_scales(packed: np.ndarray) -> np.ndarray:
    """[n, 3] float32 log scales of [n, 3] bytes."""
    return _LOG_SCALES[packed]


def pack_scales(log_scales: np.ndarray) -> np.ndarray:
    """[n, 3] bytes of [n, 3] log scales, clamped to MIN_LOG_SCALE to MAX_LOG_SCALE."""
    return to_bytes((log_scales + 10) * 16)


def unpack_rotations(packed: np.ndarray) -> np.ndarray:
    """[n, 4] float32 quaternions (w, x, y, z) of [n, 4] bytes, or of the [n, 3] of version 2."""
    quats = np.empty((len(packed), 4), np.float32)
    if packed.shape[1] == 3:
        quats[:, 1:] = packed / np.float32(127.5) - 1
        quats[:, 0] = np.sqrt(np.maximum(0, 1 - np.square(quats[:, 1:]).sum(axis=1)))
        return quats
    words = np.ascontiguousarray(packed).view("<u4")
    parts = words >> np.array([20, 10, 0], np.uint32)
    small = (parts & 511) * (_ROOT_HALF / np.float32(511))
    small[(parts & 512) != 0] *= -1
    largest = (words >> 30).astype(np.int64)
    rest = np.sqrt(np.maximum(0, 1 - np.square(small).sum(axis=1, keepdims=True)))
    np.put_along_axis(quats, values.OTHER_COMPONENTS[largest[:, 0]], small, axis=1)
    np.put_along_axis(quats, largest, rest.astype(np.float32), axis=1)
    return quats[:, _WXYZ]


def pack_rotations(quats: np.ndarray, width: int) -> np.ndarray:
    """Quaternions [n, 4] of any length: their smallest three components in 4 bytes, or x, y, z in 3."""
    unit = (quats / np.linalg.norm(quats.astype(np.float64), axis=1, keepdims=True)).astype(np.float32)
    if width == 3:
        return to_bytes(unit[:, 1:] * np.where(unit[:, :1] < 0, -127.5, 127.5) + 127.5)
    unit = unit[:, _XYZW]
    largest = np.abs(unit).argmax(axis=1)
    small = np.take_along_axis(unit, values.OTHER_COMPONENTS[largest], axis=1)
    small = small * np.where(np.take_along_axis(unit, largest[:, None], axis=1) < 0, -1, 1)
    magnitude = np.minimum(np.rint(np.abs(small) * (511 / _ROOT_HALF)), 511).astype(np.uint32)
    parts = (magnitude | (small < 0).astype(np.uint32) << 9) << np.array([20, 10, 0], np.uint32)
    words = parts[:, 0] | parts[:, 1] | parts[:, 2] | largest.astype(np.uint32) << 30
    return words.astype("<u4")[:, None].view(np.uint8)


def unpack_sh(packed: np.ndarray, num_coefficients: int) -> np.ndarray:
    """[n, k, 3] float32 of [n, 3 k or more] bytes, with k ``num_coefficients``."""
    return _COEFFICIENTS[packed[:, : 3 * num_coefficients]].reshape(-1, num_coefficients, 3)


def pack_sh(rest: np.ndarray, sh1_bits: int, sh_rest_bits: int) -> np.ndarray:
    """[n, 3 k] bytes of [n, k, 3] coefficients of degree 1 and more, clamped to -1 to 1.

    Args:
        rest: float32.
        sh1_bits: number of the 8 bits kept for degree 1; zero is always the centre of a step.
        sh_rest_bits: the same for degree 2 and 3.
    """
    flat = to_bytes(rest.reshape(len(rest), -1) * 128 + 128)
    flat[:, :9] = _coarser(sh1_bits)[flat[:, :9]]
    flat[:, 9:] = _coarser(sh_rest_bits)[flat[:, 9:]]
    return flat


def turn_axes(arrays: dict[str, np.ndarray], code: int) -> None:
    """Change fields of a scene in place from the axes of a file to right, down, front.

    Args:
        arrays: means [n, 3], quats [n, 4], sh [n, k, 3].
        code: 1 to 16, of the extension SPZ_ADOBE_coordinate_system: one bit each for left or right, down
            or up, back or front; above 8, y and z are exchanged by a rotation of 90 degrees about x.
    """
    if code > 8:
        arrays["means"][:, 1:] = arrays["means"][:, [2, 1]] * np.array([1, -1], np.float32)
        w, x, y, z = arrays["quats"].T.copy()
        arrays["quats"][:] = np.stack([w + x, x - w, y + z, z - y], axis=1) * _ROOT_HALF
    signs = axis_signs(code)
    arrays["means"] *= signs
    arrays["quats"] *= quat_signs(signs)
    degree = math.isqrt(arrays["sh"].shape[1]) - 1
    if code > 8:
        quarter = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
        matrix = sh_rotation(quarter, degree).numpy().astype(np.float32)
        arrays["sh"][:] = np.einsum("ij,njc->nic", matrix, arrays["sh"])
    arrays["sh"][:, 1:] *= sh_signs(signs, degree)


def axis_signs(code: int) -> np.ndarray:
    """[3] factors, 1 or -1, between the file's x, y, z and right, down, front."""
    bits = code - 1
    return np.array([1 if bits & 1 else -1, -1 if bits & 2 else 1, 1 if bits & 4 else -1], np.float32)


def sh_signs(signs: np.ndarray, degree: int) -> np.ndarray:
    """[k, 1] factors, 1 or -1, of SH coefficients of degree 1 and more under axes that change sign."""
    matrix = sh_rotation(torch.from_numpy(np.diag(signs).astype(np.float64)), degree).numpy()
    return np.rint(matrix.diagonal()).astype(np.float32)[1:, None]


def quat_signs(signs: np.ndarray) -> np.ndarray:
    """[4] factors of quaternions if world and local axes change sign, so that they stay rotations."""
    x, y, z = signs
    return np.array([1, y * z, x * z, x * y], np.float32)


def to_bytes(numbers: np.ndarray) -> np.ndarray:
    """Rounded and clamped to uint8."""
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def _coarser(bits: int) -> np.ndarray:
    """[256] the value of each byte when only some bits are kept."""
    step = 1 << (8 - bits)
    return np.minimum((np.arange(256) + step // 2) // step * step, 255).astype(np.uint8)


_LOGITS = values.logit_of_opacities(np.arange(256) / 255)
