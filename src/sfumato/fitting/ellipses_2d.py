"""2D Gaussians as rows of nine numbers, and their rendering.

The shape of a Gaussian is the logarithm of its covariance: with L = [[u, v], [v, -u]] and r = sqrt(u^2 +
v^2) the covariance is exp(2 t) exp(2 L). So t is the logarithm of the geometric mean of the two standard
deviations in pixels, and 2 r that of their ratio; the longer axis is at half the angle of (u, v). Any three
numbers are a valid shape, no number is a periodic angle, and rounding has the same relative effect on every
shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato import ops

# Columns of a row: the centre in pixels, t, u and v of the shape, the logit of the opacity, and the colour.
CENTRE, SIZE, STRETCH, OPACITY, COLOUR = slice(0, 2), 2, slice(3, 5), 5, slice(6, 9)
COLUMNS = 9
# Colours are stored as luma, orange and green (YCoCg), which are less correlated than red, green and blue.
RGB_FROM_COLOUR = ((1.0, 1.0, -1.0), (1.0, 0.0, 1.0), (1.0, -1.0, -1.0))
COLOUR_FROM_RGB = ((0.25, 0.5, 0.25), (0.5, 0.0, -0.5), (-0.25, 0.5, -0.25))
# Keeps the square root of u^2 + v^2 differentiable for circles.
_ROUND = 1e-12
_EVERYWHERE_PX = 1 << 20


def conics(rows: Tensor, scale: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Inverse covariances of Gaussians in an image that is ``scale`` times as large.

    Args:
        rows: [n, 9].
        scale: in x and y.

    Returns:
        [n, 3] the conics (a, b, c) of ``ops.composite``, 1/px^2.

    Gradients: rows.
    """
    u, v = rows[:, STRETCH].unbind(1)
    twice = 2 * (u * u + v * v + _ROUND).sqrt()
    even, odd = torch.cosh(twice), 2 * torch.sinh(twice) / twice
    inverse = torch.stack([even - odd * u, -odd * v, even + odd * u], dim=1)
    x, y = scale
    by_axis = rows.new_tensor([1 / (x * x), 1 / (x * y), 1 / (y * y)])
    return inverse * torch.exp(-2 * rows[:, SIZE, None]) * by_axis


def draw(
    rows: Tensor, background: Tensor, size_px: tuple[int, int], scale: tuple[float, float] = (1.0, 1.0)
) -> Tensor:
    """Render Gaussians, blended in order from the top of the image downwards.

    The order follows from the centres, so files need not store one.

    Args:
        rows: [n, 9].
        background: [3] RGB.
        size_px: (width, height) of the image.
        scale: its pixels per pixel of the centres, in x and y.

    Returns:
        [height, width, 3] RGB, not clamped.

    Gradients: rows.
    """
    width, height = size_px
    everywhere = torch.full((len(rows), 2), _EVERYWHERE_PX, dtype=torch.int32, device=rows.device)
    image, _ = ops.composite(
        rows[:, CENTRE] * rows.new_tensor(scale),
        conics(rows, scale),
        rows[:, OPACITY].sigmoid(),
        rows[:, COLOUR] @ rows.new_tensor(RGB_FROM_COLOUR).T,
        _order(rows),
        everywhere,
        background,
        width=width,
        height=height,
    )
    return image


def _order(rows: Tensor) -> Tensor:
    """[n] rank of each Gaussian, from the top downwards and from left to right."""
    x, y = rows.detach()[:, CENTRE].double().unbind(1)
    order = (y * _EVERYWHERE_PX + x).argsort(stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return place.float()


def weights(rows: Tensor, background: Tensor, size_px: tuple[int, int]) -> Tensor:
    """[n] contribution of each Gaussian to the image: the sum of its blending weights, in pixels."""
    leaf = rows.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(draw(leaf, background, size_px).sum(), leaf)
    # Luma goes to each of the three channels with factor 1.
    return gradient[:, COLOUR.start] / 3
