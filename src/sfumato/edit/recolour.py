"""Edits of the colours and opacities of a scene. Each returns a new scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ConfigError
from sfumato.maths.sh import SH_C0
from sfumato.scene.gaussians import Gaussians

# Rec. 709.
_LUMA = (0.2126, 0.7152, 0.0722)


def recoloured(gaussians: Gaussians, matrix: Tensor, offset: Sequence[float]) -> Gaussians:
    """Colours under an affine map: new = matrix @ old + offset, in every direction.

    Args:
        gaussians: the scene.
        matrix: [3, 3] from red, green and blue to red, green and blue.
        offset: [3] added to them.

    Returns:
        The scene.

    Gradients: every field of ``gaussians``.
    """
    check_shapes(matrix=(matrix, "3 3"))
    matrix = matrix.double()
    # Colour is 0.5 + sum, so the map changes the constant coefficient as well.
    constant = (matrix.sum(dim=1) * 0.5 - 0.5 + torch.tensor(list(offset)).double()) / SH_C0
    sh = gaussians.sh.double() @ matrix.T
    sh = torch.cat([sh[:, :1] + constant, sh[:, 1:]], dim=1)
    return replace(gaussians, sh=sh.to(gaussians.sh))


def painted(gaussians: Gaussians, rgb: Sequence[float]) -> Gaussians:
    """One colour from every direction.

    Args:
        gaussians: the scene.
        rgb: red, green and blue in [0, 1].

    Raises:
        ConfigError: a value is outside.
    """
    if not all(0 <= value <= 1 for value in rgb):
        raise ConfigError(f"paint: the colour is {list(rgb)}; give red, green and blue in [0, 1]")
    return recoloured(gaussians, torch.zeros(3, 3), rgb)


def tinted(gaussians: Gaussians, gain: Sequence[float]) -> Gaussians:
    """Colours multiplied.

    Args:
        gaussians: the scene.
        gain: factors of red, green and blue, 0 or more.

    Raises:
        ConfigError: a factor is negative.
    """
    if not all(0 <= value < math.inf for value in gain):
        raise ConfigError(f"tint: the factors are {list(gain)}; give 0 or more for red, green and blue")
    return recoloured(gaussians, torch.diag(torch.tensor(list(gain))), (0.0, 0.0, 0.0))


def saturated(gaussians: Gaussians, factor: float) -> Gaussians:
    """Colours moved away from grey, or towards it.

    Args:
        gaussians: the scene.
        factor: 0 gives grey of the same luma, 1 the same colours.

    Raises:
        ConfigError: the factor is negative.
    """
    if not 0 <= factor < math.inf:
        raise ConfigError(f"saturate: the factor is {factor}; give 0 or more")
    grey = torch.tensor([_LUMA] * 3, dtype=torch.float64)
    matrix = factor * torch.eye(3, dtype=torch.float64) + (1 - factor) * grey
    return recoloured(gaussians, matrix, (0.0, 0.0, 0.0))


def faded(gaussians: Gaussians, factor: float) -> Gaussians:
    """Opacities multiplied.

    Args:
        gaussians: the scene.
        factor: above 0, at most 1.

    Raises:
        ConfigError: the factor is outside.
    """
    if not 0 < factor <= 1:
        raise ConfigError(f"fade: the factor is {factor}; give a number above 0, up to 1")
    return replace(gaussians, logit_opacities=_faded_logits(gaussians.logit_opacities, factor))


def _faded_logits(logits: Tensor, factor: float) -> Tensor:
    """logit(factor * sigmoid(logits)), exact at both ends of the range."""
    if factor == 1:
        return logits
    # factor s / (1 - factor s) with s = e / (1 + e) is factor e / (1 + (1 - factor) e).
    wide = logits.double()
    return (math.log(factor) + wide - torch.nn.functional.softplus(wide + math.log1p(-factor))).to(logits)
