"""Colours from spherical harmonics, and the gradient."""

import numpy as np
import torch
from numba import prange

from sfumato.maths import sh as definition
from sfumato.ops.cpu.arrays import as_array, as_tensors
from sfumato.ops.cpu.jit import kernel, scalar

_C0, _C1 = np.float32(definition.SH_C0), np.float32(definition.SH_C1)
_C2_XY, _C2_ZZ = np.float32(definition.SH_C2_XY), np.float32(definition.SH_C2_ZZ)
_C2_XX_YY = np.float32(definition.SH_C2_XX_YY)
_C3_XXX, _C3_XYZ = np.float32(definition.SH_C3_XXX), np.float32(definition.SH_C3_XYZ)
_C3_XZZ, _C3_ZZZ = np.float32(definition.SH_C3_XZZ), np.float32(definition.SH_C3_ZZZ)
_C3_ZXX_ZYY = np.float32(definition.SH_C3_ZXX_ZYY)
_HALF, _ONE, _TWO, _ZERO = np.float32(0.5), np.float32(1.0), np.float32(2.0), np.float32(0.0)
_THREE, _FIVE, _SIX, _TEN = np.float32(3.0), np.float32(5.0), np.float32(6.0), np.float32(10.0)
_FIFTEEN = np.float32(15.0)
_CHUNK = 256
# Offset added to the sum, and lower bound of the result: for colours, and for plain sums.
_OFFSET_AND_FLOOR = ((_HALF, _ZERO), (_ZERO, np.float32(-np.inf)))


@scalar
def _basis(x, y, z, degree, b):
    """Fill ``b`` [16] with the basis of maths.sh up to ``degree``."""
    b[0] = _C0
    if degree >= 1:
        b[1], b[2], b[3] = -_C1 * y, _C1 * z, -_C1 * x
    if degree >= 2:
        b[4], b[5], b[7] = _C2_XY * x * y, -_C2_XY * y * z, -_C2_XY * x * z
        b[6] = _C2_ZZ * (_THREE * z * z - _ONE)
        b[8] = _C2_XX_YY * (x * x - y * y)
    if degree >= 3:
        b[9] = -_C3_XXX * y * (_THREE * x * x - y * y)
        b[10] = _C3_XYZ * x * y * z
        b[11] = -_C3_XZZ * y * (_FIVE * z * z - _ONE)
        b[12] = _C3_ZZZ * z * (_FIVE * z * z - _THREE)
        b[13] = -_C3_XZZ * x * (_FIVE * z * z - _ONE)
        b[14] = _C3_ZXX_ZYY * z * (x * x - y * y)
        b[15] = -_C3_XXX * x * (x * x - _THREE * y * y)


@scalar
def _direction_gradient(x, y, z, degree, g):
    """Gradient to (x, y, z) of sum_k g[k] basis_k."""
    gx, gy, gz = _ZERO, _ZERO, _ZERO
    if degree >= 1:
        gx, gy, gz = -_C1 * g[3], -_C1 * g[1], _C1 * g[2]
    if degree >= 2:
        gx += _C2_XY * (y * g[4] - z * g[7]) + _TWO * _C2_XX_YY * x * g[8]
        gy += _C2_XY * (x * g[4] - z * g[5]) - _TWO * _C2_XX_YY * y * g[8]
        gz += -_C2_XY * (y * g[5] + x * g[7]) + _SIX * _C2_ZZ * z * g[6]
    if degree >= 3:
        five = _FIVE * z * z - _ONE
        gx += -_C3_XXX * _SIX * x * y * g[9] + _C3_XYZ * y * z * g[10] - _C3_XZZ * five * g[13]
        gx += _TWO * _C3_ZXX_ZYY * x * z * g[14] - _THREE * _C3_XXX * (x * x - y * y) * g[15]
        gy += -_THREE * _C3_XXX * (x * x - y * y) * g[9] + _C3_XYZ * x * z * g[10] - _C3_XZZ * five * g[11]
        gy += -_TWO * _C3_ZXX_ZYY * y * z * g[14] + _SIX * _C3_XXX * x * y * g[15]
        gz += _C3_XYZ * x * y * g[10] - _TEN * _C3_XZZ * z * (y * g[11] + x * g[13])
        gz += _C3_ZZZ * (_FIFTEEN * z * z - _THREE) * g[12] + _C3_ZXX_ZYY * (x * x - y * y) * g[14]
    return gx, gy, gz


@scalar
def _direction(means, i, centre):
    """(1 / distance, unit direction) from the camera to a mean; zeros at the camera itself."""
    x, y, z = means[i, 0] - centre[0], means[i, 1] - centre[1], means[i, 2] - centre[2]
    length2 = x * x + y * y + z * z
    inverse = _ONE / np.sqrt(length2) if length2 > 0 else _ZERO
    return inverse, x * inverse, y * inverse, z * inverse


@kernel
def colour_forward(sh, means, centre, degree, visible, offset, floor):
    """[n, 3] values max(floor, offset + sum) of sh [n, k, 3]; zeros where not visible."""
    n, used = sh.shape[0], (degree + 1) ** 2
    out = np.zeros((n, 3), np.float32)
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        basis = np.empty(16, np.float32)
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, n)):
            if not visible[i]:
                continue
            _, x, y, z = _direction(means, i, centre)
            _basis(x, y, z, degree, basis)
            red, green, blue = offset, offset, offset
            for k in range(used):
                red += basis[k] * sh[i, k, 0]
                green += basis[k] * sh[i, k, 1]
                blue += basis[k] * sh[i, k, 2]
            out[i, 0], out[i, 1], out[i, 2] = max(red, floor), max(green, floor), max(blue, floor)
    return out


@kernel
def colour_backward(grad, colours, sh, means, centre, degree, visible, floor):
    """Gradients to sh [n, k, 3], means [n, 3] and the camera's centre [3]."""
    n, used = sh.shape[0], (degree + 1) ** 2
    # Zeros are written by all threads.
    grad_sh, grad_means = np.empty(sh.shape, np.float32), np.zeros((n, 3), np.float32)
    chunks = (n + _CHUNK - 1) // _CHUNK
    centre_sums = np.zeros((chunks, 3), np.float64)
    for chunk in prange(chunks):
        basis, along = np.empty(16, np.float32), np.empty(16, np.float32)
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, n)):
            for k in range(used if visible[i] else 0, sh.shape[1]):
                grad_sh[i, k, 0], grad_sh[i, k, 1], grad_sh[i, k, 2] = _ZERO, _ZERO, _ZERO
            if not visible[i]:
                continue
            # A clamped colour has no gradient.
            red = grad[i, 0] if colours[i, 0] > floor else _ZERO
            green = grad[i, 1] if colours[i, 1] > floor else _ZERO
            blue = grad[i, 2] if colours[i, 2] > floor else _ZERO
            inverse, x, y, z = _direction(means, i, centre)
            _basis(x, y, z, degree, basis)
            for k in range(used):
                grad_sh[i, k, 0] = basis[k] * red
                grad_sh[i, k, 1] = basis[k] * green
                grad_sh[i, k, 2] = basis[k] * blue
                along[k] = sh[i, k, 0] * red + sh[i, k, 1] * green + sh[i, k, 2] * blue
            gx, gy, gz = _direction_gradient(x, y, z, degree, along)
            radial = gx * x + gy * y + gz * z
            gx, gy, gz = (gx - radial * x) * inverse, (gy - radial * y) * inverse, (gz - radial * z) * inverse
            grad_means[i, 0], grad_means[i, 1], grad_means[i, 2] = gx, gy, gz
            centre_sums[chunk, 0] -= gx
            centre_sums[chunk, 1] -= gy
            centre_sums[chunk, 2] -= gz
    grad_centre = np.zeros(3, np.float32)
    for k in range(3):
        value = 0.0
        for chunk in range(chunks):
            value += centre_sums[chunk, k]
        grad_centre[k] = value
    return grad_sh, grad_means, grad_centre


def forward(sh, means, camera_centre, degree, visible, plain_sum):
    """See sfumato.ops.colour; ``plain_sum``: without the offset and the lower bound of colours."""
    arrays = map(as_array, (sh, means, camera_centre))
    offset, floor = _OFFSET_AND_FLOOR[plain_sum]
    return torch.from_numpy(colour_forward(*arrays, degree, as_array(visible), offset, floor))


def backward(grad, colours, sh, means, camera_centre, degree, visible, plain_sum):
    """Gradients to the coefficients, the means and the camera's centre."""
    arrays = map(as_array, (grad, colours, sh, means, camera_centre))
    _, floor = _OFFSET_AND_FLOOR[plain_sum]
    return tuple(as_tensors(colour_backward(*arrays, degree, as_array(visible), floor)))
