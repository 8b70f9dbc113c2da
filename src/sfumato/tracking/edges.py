"""Edges between neighbours of what bends, stretches or parts: softened, and cut in the end."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Share of the running mean that a step leaves as it was: it forgets in about five steps.
_KEPT = 0.8
# A strain of half the mean distance of neighbours leaves an edge the e-th part of its weight.
_SOFT = 0.5
# An edge that is strained so far, a fiftieth of its weight, in so many steps in a row is cut for good.
_FAILING, _STEPS = 1.0, 5


class EdgeStrain(NamedTuple):
    """What the steps so far have done to the edges.

    Attributes:
        mean: [n, k] running mean of the strain.
        failures: [n, k] int32 steps in a row in which the strain was too large; final once an edge is cut.
    """

    mean: Tensor
    failures: Tensor

    @staticmethod
    def none(weights: Tensor) -> EdgeStrain:
        """That of edges in the first step.

        Args:
            weights: [n, k] of the edges.
        """
        return EdgeStrain(torch.zeros_like(weights), torch.zeros_like(weights, dtype=torch.int32))


@torch.no_grad()
def strained(before: EdgeStrain, means: Tensor, neighbours: Tensor, rest_distances: Tensor) -> EdgeStrain:
    """Take in a step that is done.

    Args:
        before: the steps before it.
        means: [n, 3] of the Gaussians after it, scene units.
        neighbours: [n, k] int32 rows of ``means``, -1 for none.
        rest_distances: [n, k] in the first step, scene units.

    Returns:
        EdgeStrain. The strain is the change of an edge's length since the first step, over the mean length
        then.
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
    """Weights of edges after what they went through.

    Args:
        weights: [n, k] of the first step.
        strain: so far.

    Returns:
        [n, k] weights * exp(-mean^2 / 0.5^2), 0 for edges that are cut. They are not made to sum to 1 again:
        a Gaussian whose neighbours all leave it is to follow the photographs alone.
    """
    return weights * torch.exp(-((strain.mean / _SOFT) ** 2)) * (strain.failures < _STEPS)
