"""One Adam step on all parameters, each with its own rate."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from sfumato.ops import adam_step
from sfumato.training.colour import RATE
from sfumato.training.config import Rates
from sfumato.training.population import Population
from sfumato.training.schedules import rate_of


def optimise(
    population: Population,
    seen: Tensor,
    rates: Rates,
    *,
    progress: float,
    depth: float,
    sh_degree: int,
    colour: str,
    step: int,
) -> None:
    """Update the Gaussians that were seen, in place, and drop the gradients.

    Args:
        population: with gradients from a backward pass.
        seen: [n] bool.
        rates: learning rates.
        progress: share of the run that is done.
        depth: how far the scene is from the cameras; the rate of the means is relative to it.
        sh_degree: degree in use; higher coefficients are not touched.
        colour: what is trained of it.
        step: 1 at the first step.
    """
    for f in fields(population.gaussians):
        param, first, second = population.rows(f.name)
        if f.name == "sh":
            rate = torch.full((3 * (sh_degree + 1) ** 2,), rate_of(rates, "sh_rest", progress))
            rate[:3] = rate_of(rates, "sh_base", progress)
            rate *= RATE[colour]
        else:
            rate = rate_of(rates, f.name, progress) * (depth if f.name == "means" else 1.0)
        adam_step(param.detach(), param.grad, first, second, seen, rate=rate, step=step)
    population.clear_gradients()
