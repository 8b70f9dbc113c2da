"""Adam on the poses of Gaussians at one step in time, and the priors on them."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato import ops
from sfumato.maths.neighbours import Neighbours
from sfumato.maths.quaternions import normalised
from sfumato.tracking.track_config import Priors
from sfumato.tracking.track_state import MovingPoses

# Decay rates of Adam: low, as a step has few iterations.
BETAS = (0.8, 0.95)
# Gradients below this share of the root mean square are mostly rounding, as of hidden Gaussians.
_EPSILON = 1e-3
_TINY = 1e-30


def epsilon_of(gradient: Tensor) -> float:
    """Adam's epsilon, for gradients like this one; it is not 0 where nothing was seen."""
    return max(_EPSILON * float(gradient.square().mean().sqrt()), _TINY)


class PoseDescent:
    """The poses of m Gaussians at a step, while they are optimised.

    Args:
        start: initial poses.
        spacing: mean distance between neighbours, scene units.

    Attributes:
        leaves: the poses, which require gradients; quaternions of any length.
    """

    leaves: MovingPoses

    def __init__(self, start: MovingPoses, spacing: float) -> None:
        means, quats = (tensor.clone().requires_grad_() for tensor in (start.means, start.quats))
        self.leaves, self._spacing = MovingPoses(means, quats), spacing
        self._adam = torch.optim.Adam([{"params": [means]}, {"params": [quats]}], betas=BETAS)
        self._is_first = True

    def descend(self, gradients: tuple[Tensor, Tensor], rate: float) -> None:
        """One step.

        Args:
            gradients: with respect to means and quaternions.
            rate: learning rate of the means, scene units.
        """
        of_means, of_quats = self._adam.param_groups
        if self._is_first:
            least = epsilon_of(gradients[0])
            of_means["eps"], of_quats["eps"] = least, least * self._spacing
            self._is_first = False
        # A rotation step moves neighbours of a Gaussian by half as much as a position step.
        of_means["lr"], of_quats["lr"] = rate, 0.5 * rate / self._spacing
        self.leaves.means.grad, self.leaves.quats.grad = gradients
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    @property
    def poses(self) -> MovingPoses:
        """The current poses, outside the autograd graph."""
        return MovingPoses(self.leaves.means.detach(), normalised(self.leaves.quats.detach()))


def motion_penalty(
    weights: Priors, before: MovingPoses, now: MovingPoses, neighbours: Neighbours, edge_weights: Tensor
) -> Tensor:
    """The weighted sum [] of the priors on the motion from one step to the next.

    Args:
        weights: of the priors.
        before, now: poses at the two steps.
        neighbours: of the Gaussians.
        edge_weights: [m, k] weights of the neighbours.
    """
    found = ops.motion_priors(
        now.means, now.quats, before.means, before.quats, neighbours.rows, edge_weights, neighbours.distances
    )
    return found @ found.new_tensor((weights.rigidity, weights.rotation, weights.isometry))
