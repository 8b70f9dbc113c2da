"""Edges between neighbours: weakened by strain where objects bend or separate, and finally cut."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Decay of the running mean per step: a window of about five steps.
_KEPT = 0.8
# Strain, in mean distances of neighbours, at which the weight of an edge falls to 1/e.
_SOFT = 0.5
# An edge with this strain, 1/50 of its weight, in this many consecutive steps is cut permanently.
_FAILING, _STEPS = 1.0, 5


class EdgeStrain(NamedTuple):
    """The strain of edges over the steps so far.

    Attributes:
        mean: [n, k] running mean of the strain.
        failures: [n, k] int32 consecutive steps with too large a strain; constant once an edge is cut.
    """

    mean: Tensor
    failures: Tensor

    @staticmethod
    def none(weights: Tensor) -> EdgeStrain:
        """The strain at the first step.

        Args:
            weights: [n, k] of the edges.
        """
        return EdgeStrain(torch.zeros_like(weights), torch.zeros_like(weights, dtype=torch.int32))


@torch.no_grad()
def strained(before: EdgeStrain, means: Tensor, neighbours: Tensor, rest_distances: Tensor) -> EdgeStrain:
    """Update the strain after a step.

    Args:
        before: strain before the step.
        means: [n, 3] of the Gaussians after the step, scene units.
        neighbours: [n, k] int32 rows of ``means``, -1 for none.
        rest_distances: [n, k] in the first step, scene units.

    Returns:
        EdgeStrain. The strain is the change of an edge's length since the first step, divided by the mean
        length at the first step.
    """
    is_edge = neighbours >= 0
    lengths = (means[neighbours.clamp(min=0).long()] - means[:, None]).norm(dim=-1)
    rest = torch.where(is_edge, rest_distances, 0.0)
    typical = rest.sum() / is_edge.sum().clamp(min=1)
    strain = (lengths - rest).abs() / torch.where(typical > 0, typical, 1.0) * is_edge
    counted = torch.where(strain > _FAILING, before.failures + 1, 0)
    failures = torch.where(before.failures >= _STEPS, before.failures, counted)
    return EdgeStrain(torch.lerp(strain, before.mean, _KEPT), failures)


def softened(weights: Tensor, strain: EdgeStrain) -> Tensor:
    """Weights of edges, reduced by their strain.

    Args:
        weights: [n, k] of the first step.
        strain: of the steps so far.

    Returns:
        [n, k] weights * exp(-mean^2 / 0.5^2), 0 for edges that are cut. They are not normalised again:
        a Gaussian that loses all its neighbours follows the photographs alone.
    """
    return weights * torch.exp(-((strain.mean / _SOFT) ** 2)) * (strain.failures < _STEPS)
