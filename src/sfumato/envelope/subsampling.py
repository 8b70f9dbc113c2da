"""Subsampled scenes that look about the same at low resolution."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from sfumato.scene.gaussians import Gaussians

_MOST_GAUSSIANS = 40_000


def sample(count: int) -> tuple[Tensor, float]:
    """Every k-th of the Gaussians of a large scene.

    Args:
        count: number of Gaussians.

    Returns:
        Their rows [m], and the factor sqrt(k) of their scales that preserves the covered area.
    """
    step = max(1, -(-count // _MOST_GAUSSIANS))
    return torch.arange(0, count, step), math.sqrt(step)


def thinned(gaussians: Gaussians, rows: Tensor, larger: float) -> Gaussians:
    """A subset of the Gaussians of a scene, enlarged.

    Args:
        gaussians: the scene.
        rows: [m] of the subset.
        larger: factor of the scales.
    """
    if len(rows) == len(gaussians):
        return gaussians
    some = gaussians.select(rows.to(gaussians.means.device))
    return replace(some, log_scales=some.log_scales + math.log(larger))
