"""The penalty of the densification strategies on opacity and scale."""

from __future__ import annotations

from torch import Tensor

from sfumato import ops
from sfumato.maths.device_copies import moved_like
from sfumato.scene.gaussians import Gaussians
from sfumato.training.part import Shot

# Least viewing distance in the scale penalty, in units of the scene's depth, so that a few near Gaussians do
# not dominate it.
_MIN_DISTANCE = 0.2


def penalty_of(
    gaussians: Gaussians, shot: Shot, *, opacity_weight: float, scale_weight: float
) -> Tensor | None:
    """``ops.opacity_and_scale`` of a view.

    Args:
        gaussians: n of them.
        shot: the view.
        opacity_weight: factor of the mean opacity.
        scale_weight: factor of the mean scale, relative to the distance of the camera.

    Returns:
        [] the term of the loss; None if both weights are 0.
    """
    if opacity_weight == 0 and scale_weight == 0:
        return None
    return ops.opacity_and_scale(
        gaussians.log_scales,
        gaussians.logit_opacities,
        gaussians.means,
        moved_like(shot.camera.centre_world, gaussians.means),
        least_distance=_MIN_DISTANCE * shot.context.depth,
        opacity_weight=opacity_weight,
        scale_weight=scale_weight,
    )
