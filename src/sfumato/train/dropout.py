"""Leaving Gaussians out of a step, so that none of them can rely on one other."""

from __future__ import annotations

from dataclasses import replace
from math import log1p

import torch

from sfumato.scene.gaussians import Gaussians

# Logit of an opacity that no pixel holds.
_ABSENT = -30.0


def thinned(gaussians: Gaussians, share: float, generator: torch.Generator) -> Gaussians:
    """The scene of one step: a random share of the Gaussians is left out, the rest are more opaque.

    A scene has more Gaussians than the photographs can tell apart, and what several of them only
    explain together, by cancelling, falls apart in a new view. With some missing in every step, each
    must make sense by itself. The odds of the rest rise by 1 / (1 - share), so that faint ones are as
    opaque as before in the mean.

    Args:
        gaussians: n of them.
        share: left out, 0 to less than 1.
        generator: of the choice.

    Returns:
        n Gaussians; those left out have opacity 0.

    Gradients: every field of ``gaussians``; none for those left out.

    Source: Park et al. 2025, "DropGaussian", there with opacities in place of odds.
    """
    if share == 0:
        return gaussians
    stays = torch.rand(len(gaussians), generator=generator) >= share
    raised = gaussians.logit_opacities - log1p(-share)
    return replace(gaussians, logit_opacities=torch.where(stays, raised, _ABSENT))
