"""Default near and far planes."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.render.settings import Settings

# In units of the median distance of a scene's Gaussians, so that units do not matter.
NEAR, FAR = 0.002, 1e10
# Enough for a median.
_SAMPLE = 4096


@torch.no_grad()
def limits_of(settings: Settings, means: Tensor, eyes: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """Near and far of a render, those of the settings first.

    Args:
        settings: what is asked for.
        means: [n, 3] of the Gaussians, world frame.
        eyes: [..., 3] where the picture is taken from, or its rays begin: their mean counts.

    Returns:
        Two lengths, scene units; those that follow from the scene are float64 tensors [] on its device.
    """
    near, far = settings.near, settings.far
    if near is None or far is None:
        sample = means[:: max(1, len(means) // _SAMPLE)].detach()
        distances = (sample - eyes.to(means).reshape(-1, 3).mean(dim=0)).norm(dim=1)
        unit = distances.nanmedian().double() if len(means) else 1.0
        near = NEAR * unit if near is None else near
        far = FAR * unit if far is None else far
    return near, far
