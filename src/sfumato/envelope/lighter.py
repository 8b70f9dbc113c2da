"""A scene of fewer Gaussians that looks about the same in a small picture."""

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
        count: how many it has.

    Returns:
        Their rows [m], and how much larger each is to be, so that together they cover as much: sqrt(k).
    """
    step = max(1, -(-count // _MOST_GAUSSIANS))
    return torch.arange(0, count, step), math.sqrt(step)


def thinned(gaussians: Gaussians, rows: Tensor, larger: float) -> Gaussians:
    """Some Gaussians of a scene, made larger.

    Args:
        gaussians: the scene.
        rows: [m] of those that stay.
        larger: factor of their scales.
    """
    if len(rows) == len(gaussians):
        return gaussians
    some = gaussians.select(rows.to(gaussians.means.device))
    return replace(some, log_scales=some.log_scales + math.log(larger))
