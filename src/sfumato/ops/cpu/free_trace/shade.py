"""The colour of one Gaussian seen from one ray's origin, and the gradient."""

import numpy as np

from sfumato.ops.cpu.colour import _basis, _direction, _direction_gradient
from sfumato.ops.cpu.jit import scalar

_HALF, _ZERO = np.float32(0.5), np.float32(0.0)


@scalar
def shade(features, degree, means, i, origin, basis, colour):
    """Fill ``colour`` [d]; returns the bits of the channels that are not cut off at zero.

    Args:
        features: [n, k, 3] spherical harmonics, or [n, 1, d] values.
        degree: of the spherical harmonics, or -1 for values.
        means: [n, 3].
        i: the Gaussian.
        origin: [3] of the ray.
        basis: [16], overwritten.
        colour: [d], written.
    """
    if degree < 0:
        for k in range(colour.size):
            colour[k] = features[i, 0, k]
        return np.uint8(255)
    _, x, y, z = _direction(means, i, origin)
    _basis(x, y, z, degree, basis)
    red, green, blue = _HALF, _HALF, _HALF
    for k in range((degree + 1) ** 2):
        red += basis[k] * features[i, k, 0]
        green += basis[k] * features[i, k, 1]
        blue += basis[k] * features[i, k, 2]
    colour[0], colour[1], colour[2] = max(red, _ZERO), max(green, _ZERO), max(blue, _ZERO)
    return np.uint8((red > 0) + 2 * (green > 0) + 4 * (blue > 0))


@scalar
def shade_backward(features, degree, means, i, origin, grad, weight, lit, basis, along):
    """Gradient to the mean through the direction of sight; the origin's is its opposite.

    ``basis`` [16] is left as in shade, ``along`` [16] is overwritten; ``grad`` [3] times ``weight`` is
    the colour's gradient.
    """
    red = grad[0] * weight if lit & 1 else 0.0
    green = grad[1] * weight if lit & 2 else 0.0
    blue = grad[2] * weight if lit & 4 else 0.0
    inverse, x, y, z = _direction(means, i, origin)
    _basis(x, y, z, degree, basis)
    for k in range((degree + 1) ** 2):
        along[k] = features[i, k, 0] * red + features[i, k, 1] * green + features[i, k, 2] * blue
    gx, gy, gz = _direction_gradient(x, y, z, degree, along)
    radial = gx * x + gy * y + gz * z
    return (gx - radial * x) * inverse, (gy - radial * y) * inverse, (gz - radial * z) * inverse
