"""Arguments of the parts of a training step, made by hand."""

import numpy as np
import torch
from scipy.spatial import cKDTree

from sfumato.training.clearance import Clearance
from sfumato.training.context import StepContext
from sfumato.training.part import Gradients, Part, Shot

# Distance of a camera to which all Gaussians of a crowd are about equally far.
AWAY = 1e6


def clearance(*cameras, radius=0.0) -> Clearance:
    """A ball around each camera; one at ``AWAY`` from any crowd if none is given."""
    return Clearance(cKDTree(np.array(cameras or [(0.0, AWAY, 0.0)])), radius)


def context(**changes) -> StepContext:
    """The middle of refinement in a scene of depth 1."""
    values = {
        "step": 10,
        "progress": 0.3,
        "sh_degree": 1,
        "downscale": 1,
        "is_densifying": True,
        "is_settling": False,
        "max_gaussians": 10**6,
        "means_rate": 0.0,
        "depth": 1.0,
        "clearance": clearance(),
        "generator": torch.Generator().manual_seed(0),
    }
    given = {**values, **changes}
    return StepContext(**{"scene_generator": given["generator"], **given})


def shot(number=0, camera=None, view=None, **changes) -> Shot:
    """A photograph of a step; ``changes`` are of its context."""
    return Shot(number, view, camera, (0.0, 0.0, 0.0), context(**changes))


def screen_gradients(values, visible=None, **changes) -> Gradients:
    """Gradients of one view with only visibility and screen-space gradients."""
    values = torch.as_tensor(values, dtype=torch.float32)
    visible = torch.ones(len(values), dtype=torch.bool) if visible is None else torch.as_tensor(visible)
    return Gradients(context(**changes), (0,), torch.zeros(()), {}, {}, visible.int(), values)


def gradients_of(part: Part, *views, **changes) -> Gradients:
    """Gradients of a part's parameters after a backward pass, which are then cleared."""
    leaves = part.parameters()
    taken = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    for leaf in leaves.values():
        leaf.grad = None
    none = torch.zeros(0, dtype=torch.int32)
    return Gradients(context(**changes), views, torch.zeros(()), {}, {part.name: taken}, none, None)
