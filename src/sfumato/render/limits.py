"""Default near and far planes."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.render.settings import Settings

# In units of the median distance of the scene's Gaussians, so that the unit of the scene does not matter.
NEAR, FAR = 0.002, 1e10
# Gaussians of which the median is taken.
_SAMPLE = 4096


@torch.no_grad()
def limits_of(settings: Settings, means: Tensor, eyes: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """Near and far of a render: those of the settings, else derived from the scene.

    Args:
        settings: render settings.
        means: [n, 3] of the Gaussians, world frame.
        eyes: [..., 3] centre of the camera, or origins of rays, of which the mean is used; world frame.

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
