"""The colour of a Gaussian seen from the origin of a ray, and the gradient."""

from typing import NamedTuple

import numpy as np

from sfumato.ops.cpu.colour import _basis, _direction, _direction_gradient
from sfumato.ops.cpu.jit import scalar, scalar_with_arrays

_HALF, _ZERO = np.float32(0.5), np.float32(0.0)


class Shading(NamedTuple):
    """The colour parameters of Gaussians.

    Attributes:
        means: [n, 3].
        features: [n, k, 3] spherical harmonics, or [n, 1, d] values.
        degree: of the spherical harmonics, or -1 for values.
    """

    means: np.ndarray
    features: np.ndarray
    degree: int


class ColourScratch(NamedTuple):
    """Buffers for computing a colour.

    Attributes:
        colour: [d] float32.
        basis: [16] float32, values of the basis functions.
        along: [16] float32, gradients to the basis functions.
    """

    colour: np.ndarray
    basis: np.ndarray
    along: np.ndarray


@scalar_with_arrays
def colour_scratch(d):
    """Uninitialised ColourScratch for d channels."""
    return ColourScratch(np.empty(d, np.float32), np.empty(16, np.float32), np.empty(16, np.float32))


@scalar
def shade(shading, i, origin, scratch):
    """Fill ``scratch.colour``; returns the bits of the channels that are not clamped at zero.

    Args:
        shading: Shading.
        i: index of the Gaussian.
        origin: [3] origin of the ray.
        scratch: ColourScratch; its basis is overwritten, too.
    """
    features, degree, colour, basis = shading.features, shading.degree, scratch.colour, scratch.basis
    if degree < 0:
        for k in range(colour.size):
            colour[k] = features[i, 0, k]
        return np.uint8(255)
    _, x, y, z = _direction(shading.means, i, origin)
    _basis(x, y, z, degree, basis)
    red, green, blue = _HALF, _HALF, _HALF
    for k in range((degree + 1) ** 2):
        red += basis[k] * features[i, k, 0]
        green += basis[k] * features[i, k, 1]
        blue += basis[k] * features[i, k, 2]
    colour[0], colour[1], colour[2] = max(red, _ZERO), max(green, _ZERO), max(blue, _ZERO)
    return np.uint8((red > 0) + 2 * (green > 0) + 4 * (blue > 0))


@scalar
def shade_backward(shading, i, origin, grad, weight, lit, scratch):
    """Gradient to the mean through the viewing direction; the negative is that to the origin.

    Leaves the same basis in ``scratch`` as shade; ``grad`` [3] times ``weight`` is the gradient to the
    colour.
    """
    features, degree, basis, along = shading.features, shading.degree, scratch.basis, scratch.along
    red = grad[0] * weight if lit & 1 else 0.0
    green = grad[1] * weight if lit & 2 else 0.0
    blue = grad[2] * weight if lit & 4 else 0.0
    inverse, x, y, z = _direction(shading.means, i, origin)
    _basis(x, y, z, degree, basis)
    for k in range((degree + 1) ** 2):
        along[k] = features[i, k, 0] * red + features[i, k, 1] * green + features[i, k, 2] * blue
    gx, gy, gz = _direction_gradient(x, y, z, degree, along)
    radial = gx * x + gy * y + gz * z
    return (gx - radial * x) * inverse, (gy - radial * y) * inverse, (gz - radial * z) * inverse
