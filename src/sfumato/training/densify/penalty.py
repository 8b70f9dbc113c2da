"""The penalty of the densification strategies on opacity and scale."""

from __future__ import annotations

from torch import Tensor

from sfumato import ops
from sfumato.maths.device_copies import moved_like
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import AdcConfig, McmcConfig
from sfumato.training.part import Shot

# Least viewing distance in the scale penalty, in units of the scene's depth, so that a few near Gaussians do
# not dominate it.
_MIN_DISTANCE = 0.2


def penalty_of(config: AdcConfig | McmcConfig, gaussians: Gaussians, shot: Shot) -> Tensor | None:
    """``ops.opacity_and_scale`` of a view, with the weights of a strategy.

    Args:
        config: of the strategy.
        gaussians: n of them.
        shot: the view.

    Returns:
        [] the term of the loss; None if both weights are 0.
    """
    if config.opacity_weight == 0 and config.scale_weight == 0:
        return None
    return ops.opacity_and_scale(
        gaussians.log_scales,
        gaussians.logit_opacities,
        gaussians.means,
        moved_like(shot.camera.centre_world, gaussians.means),
        least_distance=_MIN_DISTANCE * shot.context.depth,
        opacity_weight=config.opacity_weight,
        scale_weight=config.scale_weight,
    )
