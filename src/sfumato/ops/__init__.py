"""Operations on tensors: float64 uses the definitions in plain torch, float32 compiled kernels."""

from sfumato.ops.adam import adam_step
from sfumato.ops.alignment import alignment
from sfumato.ops.colour import colour
from sfumato.ops.composite import composite
from sfumato.ops.covariance import covariance
from sfumato.ops.motion_priors import motion_priors
from sfumato.ops.opacity_and_scale import opacity_and_scale
from sfumato.ops.photometric import photometric_loss
from sfumato.ops.project import Projected, project
from sfumato.ops.rigid_motion import rigid_motion
from sfumato.ops.trace import Traced, trace
from sfumato.ops.trace_rays import Hierarchy, trace_rays
from sfumato.ops.unscented import Unscented, unscented

__all__ = [
    "Hierarchy",
    "Projected",
    "Traced",
    "Unscented",
    "adam_step",
    "alignment",
    "colour",
    "composite",
    "covariance",
    "motion_priors",
    "opacity_and_scale",
    "photometric_loss",
    "project",
    "rigid_motion",
    "trace",
    "trace_rays",
    "unscented",
]
