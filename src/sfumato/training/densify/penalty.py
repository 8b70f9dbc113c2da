"""Penalties on opacity and scale, which let unneeded Gaussians fade."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import AdcConfig, McmcConfig
from sfumato.training.part import Shot

# Least viewing distance in the scale penalty, in units of the scene's depth, so that a few near Gaussians do
# not dominate it.
_MIN_DISTANCE = 0.2


def penalty_of(config: AdcConfig | McmcConfig, gaussians: Gaussians, shot: Shot) -> Tensor | None:
    """``opacity_and_scale`` of a view, with the weights of a strategy.

    Args:
        config: of the strategy.
        gaussians: n of them.
        shot: the view.

    Returns:
        [] the term of the loss, or None.
    """
    return opacity_and_scale(
        gaussians,
        viewing_distances(gaussians, shot),
        opacity_weight=config.opacity_weight,
        scale_weight=config.scale_weight,
    )


def opacity_and_scale(
    gaussians: Gaussians, distances: Tensor, *, opacity_weight: float, scale_weight: float
) -> Tensor | None:
    """Term of the loss: the mean opacity, and the mean of scale divided by distance from the camera.

    Distant Gaussians may be large, as they appear small.

    Args:
        gaussians: n of them.
        distances: [n] from the camera, scene units.
        opacity_weight, scale_weight: factors of the two; with both 0 there is no term.

    Returns:
        [] the sum, or None.

    Gradients: logit_opacities, log_scales.

    Source: Kheradmand et al. 2024, eq. 11, where scales are in scene units, not relative to the distance.
    """
    if opacity_weight == 0 and scale_weight == 0:
        return None
    sizes = gaussians.scales.mean(dim=1) / distances
    return opacity_weight * gaussians.opacities.mean() + scale_weight * sizes.mean()


@torch.no_grad()
def viewing_distances(gaussians: Gaussians, shot: Shot) -> Tensor:
    """[n] distances of the means from the camera, scene units, at least a fraction of the scene's depth."""
    means = gaussians.means
    distances = (means - shot.camera.centre_world.to(means)).norm(dim=1)
    return distances.clamp_min(_MIN_DISTANCE * shot.context.depth)
