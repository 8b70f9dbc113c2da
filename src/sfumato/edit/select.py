"""Selections of Gaussians, as boolean masks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.maths.sh import SH_C0
from sfumato.scene.gaussians import Gaussians


def in_box(gaussians: Gaussians, low: Sequence[float], high: Sequence[float]) -> Tensor:
    """Select Gaussians whose centre is in an axis-aligned box, including its faces.

    Args:
        gaussians: the scene.
        low, high: (x, y, z) of opposite corners, scene units; infinity leaves a side open.

    Returns:
        [n] bool, True inside.

    Raises:
        ConfigError: a lower bound is above its upper bound.
    """
    if not all(a <= b for a, b in zip(low, high, strict=True)):
        raise ConfigError(f"box: low {list(low)} must not be above high {list(high)}; swap them")
    means = gaussians.means
    inside = (means >= means.new_tensor(list(low))) & (means <= means.new_tensor(list(high)))
    return inside.all(dim=1)


def in_sphere(gaussians: Gaussians, centre: Sequence[float], radius: float) -> Tensor:
    """Select Gaussians whose centre is in a ball.

    Args:
        gaussians: the scene.
        centre: (x, y, z), scene units.
        radius: scene units.

    Returns:
        [n] bool, True inside.

    Raises:
        ConfigError: the radius is negative.
    """
    if not radius >= 0:
        raise ConfigError(f"sphere: radius is {radius}; give 0 or more")
    return (gaussians.means.double() - torch.tensor(list(centre)).double()).norm(dim=1) <= radius


def beyond_plane(gaussians: Gaussians, normal: Sequence[float], offset: float) -> Tensor:
    """Select Gaussians whose centre is on the side of a plane to which its normal points.

    Args:
        gaussians: the scene.
        normal: (x, y, z) of any length but zero.
        offset: distance of the plane from the origin along the normal, scene units.

    Returns:
        [n] bool, True where normal / |normal| . mean >= offset.

    Raises:
        ConfigError: the normal is zero.
    """
    direction = torch.tensor(list(normal), dtype=torch.float64)
    if not float(direction.norm()) > 0:
        raise ConfigError("plane: the normal is zero; give the direction of the side that is meant")
    return gaussians.means.double() @ (direction / direction.norm()) >= offset


def opacity_between(gaussians: Gaussians, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Select Gaussians whose opacity is in a closed range.

    Args:
        gaussians: the scene.
        low, high: in [0, 1].

    Returns:
        [n] bool.

    Raises:
        ConfigError: the range is empty.
    """
    return _between(gaussians.opacities, low, high, "opacity")


def size_between(gaussians: Gaussians, low: float = 0.0, high: float = math.inf) -> Tensor:
    """Select Gaussians whose largest standard deviation is in a closed range.

    Args:
        gaussians: the scene.
        low, high: scene units.

    Returns:
        [n] bool.

    Raises:
        ConfigError: the range is empty.
    """
    return _between(gaussians.log_scales.amax(dim=1).exp(), low, high, "size")


def colour_near(gaussians: Gaussians, rgb: Sequence[float], within: float) -> Tensor:
    """Select Gaussians whose colour, averaged over all directions, is near a given one.

    Args:
        gaussians: the scene.
        rgb: red, green and blue in [0, 1].
        within: largest Euclidean distance to it; black and white are 1.73 apart.

    Returns:
        [n] bool.

    Raises:
        ConfigError: the distance is negative.
    """
    if not within >= 0:
        raise ConfigError(f"colour: the distance is {within}; give 0 or more")
    mean_colour = (0.5 + SH_C0 * gaussians.sh[:, 0]).clamp(0, 1)
    return (mean_colour - mean_colour.new_tensor(list(rgb))).norm(dim=1) <= within


def _between(values: Tensor, low: float, high: float, what: str) -> Tensor:
    if not low <= high:
        raise ConfigError(f"{what}: the range {low} to {high} is empty; give the smaller number first")
    return (values >= low) & (values <= high)
