"""Densification as sampling: relocation, noise and regularisers, with a cap on the number of Gaussians."""

from __future__ import annotations

from math import ceil, comb

import torch
from torch import Tensor

from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import McmcConfig, Schedule
from sfumato.training.context import StepContext
from sfumato.training.densify.densifier import Densifier, restarts_moments
from sfumato.training.densify.noise import shake
from sfumato.training.densify.penalty import penalty_of
from sfumato.training.part import Refinement, Shot
from sfumato.training.population import Population
from sfumato.training.schedules import refinement_is_due

# Limits of relocated opacities, so that logits stay finite.
_LEAST_OPACITY, _MOST_OPACITY = 0.005, 1 - 1e-6
_MOST_COPIES = 51


class MarkovChain(Densifier):
    """Relocates dead Gaussians to live ones, adds new ones there, and adds noise to faint ones.

    Source: Kheradmand et al. 2024, "3D Gaussian Splatting as Markov Chain Monte Carlo", eq. 8-10.
    """

    def __init__(self, config: McmcConfig, schedule: Schedule) -> None:
        self.config, self.schedule = config, schedule

    def penalty(self, gaussians: Gaussians, shot: Shot) -> Tensor | None:
        config = self.config
        return penalty_of(
            gaussians, shot, opacity_weight=config.opacity_weight, scale_weight=config.scale_weight
        )

    def refine(self, population: Population, context: StepContext) -> Refinement | None:
        change = None
        is_due = refinement_is_due(self.schedule, context.step, context.run_steps)
        if is_due and self.schedule.refine_from <= context.progress < self.schedule.refine_until:
            change = self._relocate_and_grow(population, context)
        if "means" not in population.frozen:
            strength = self.config.noise * context.means_rate / context.depth**2
            shake(population.gaussians, strength, context.scene_generator)
        return change

    def _relocate_and_grow(self, population: Population, context: StepContext) -> Refinement | None:
        old = population.gaussians.detach()
        dead = (old.opacities <= self.config.dead_opacity) | context.clearance.holds(old.means)
        live = (~dead).nonzero().squeeze(1)
        if len(live) == 0:
            return None
        n = len(old)
        more = max(min(context.max_gaussians, ceil(self.config.growth * n)) - n, 0)
        num_drawn = int(dead.sum()) + more
        if num_drawn == 0:
            return None
        chances = old.opacities[live]
        drawn = live[
            torch.multinomial(chances, num_drawn, replacement=True, generator=context.scene_generator)
        ]
        source = torch.arange(n + more, device=live.device)
        source[dead.nonzero().squeeze(1)] = drawn[: num_drawn - more]
        source[n:] = drawn[num_drawn - more :]
        values = old.select(source)
        shared = torch.bincount(drawn, minlength=n)[source]
        opacities, scales = share_opacity(values.opacities, values.scales, shared + 1)
        touched = shared > 0
        values.logit_opacities[touched] = torch.logit(opacities[touched])
        values.log_scales[touched] = scales[touched].log()
        population.rearrange(source, touched | restarts_moments(context), values)
        return Refinement(more, 0)


def share_opacity(opacities: Tensor, scales: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and scales with which ``copies`` coincident Gaussians look like one.

    Args:
        opacities: [n] opacity of the original.
        scales: [n, 3] its scales.
        copies: [n] int64 number of Gaussians that replace it, at least 1.

    Returns:
        [n] opacities and [n, 3] scales of each of them.

    Source: Kheradmand et al. 2024, eq. 9.
    """
    copies = copies.clamp_max(_MOST_COPIES)
    opacities = opacities.double().clamp(max=_MOST_OPACITY)
    shared = 1 - (1 - opacities) ** (1 / copies.double())
    denominator = torch.zeros_like(opacities)
    for i in range(1, int(copies.max()) + 1):
        for k in range(i):
            term = comb(i - 1, k) * (-1) ** k / (k + 1) ** 0.5 * shared ** (k + 1)
            denominator += torch.where(copies >= i, term, 0.0)
    new_scales = (opacities / denominator)[:, None] * scales.double()
    return shared.clamp(_LEAST_OPACITY, _MOST_OPACITY).to(scales), new_scales.to(scales)
