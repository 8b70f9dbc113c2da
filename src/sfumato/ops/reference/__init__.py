"""The definition of every operation in plain torch: slow, differentiable by autograd, any float dtype."""

from sfumato.ops.reference.adam import adam_step
from sfumato.ops.reference.alignment import alignment
from sfumato.ops.reference.colour import colour
from sfumato.ops.reference.composite import composite
from sfumato.ops.reference.covariance import covariance
from sfumato.ops.reference.motion_priors import motion_priors
from sfumato.ops.reference.opacity_and_scale import opacity_and_scale
from sfumato.ops.reference.photometric import photometric_loss, ssim, ssim_map
from sfumato.ops.reference.project import MODELS, project
from sfumato.ops.reference.rigid_motion import rigid_motion
from sfumato.ops.reference.trace import Response, response, sound, trace
from sfumato.ops.reference.unscented import sigma_points, unscented

__all__ = [
    "MODELS",
    "Response",
    "adam_step",
    "alignment",
    "colour",
    "composite",
    "covariance",
    "motion_priors",
    "opacity_and_scale",
    "photometric_loss",
    "project",
    "response",
    "rigid_motion",
    "sigma_points",
    "sound",
    "ssim",
    "ssim_map",
    "trace",
    "unscented",
]
