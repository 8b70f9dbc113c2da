"""Adaptive density control (Kerbl et al. 2023) with a cap on the number of Gaussians."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import AdcConfig, Schedule
from sfumato.training.context import StepContext
from sfumato.training.densify.densifier import Densifier, restarts_moments
from sfumato.training.densify.noise import shake
from sfumato.training.densify.penalty import penalty_of
from sfumato.training.part import Gradients, Refinement, Shot
from sfumato.training.population import Population
from sfumato.training.schedules import log_linear, refinement_is_due

# A split gives two Gaussians next to each other along the longest axis of their parent, shorter, narrower
# and fainter, which changes the picture less than samples of the parent (long-axis split, Deng et al. 2025,
# arXiv 2508.12313). Together they are about as long as the parent: 0.75² + 0.6² is near 1.
CHILD_OFFSET = 0.75  # of the scale along the longest axis
CHILD_LENGTH, CHILD_WIDTH = 0.6, 0.85  # factors of the longest scale and of the others
CHILD_OPACITY = 0.6  # factor


class AdaptiveDensityControl(Densifier):
    """Clones and splits Gaussians with a large screen-space gradient; prunes faint and huge ones.

    Of the candidates above the threshold, those with the largest gradients are densified until the current
    cap is reached (as in Taming 3DGS, Mallick et al. 2024).
    """

    def __init__(self, config: AdcConfig, schedule: Schedule) -> None:
        self.config, self.schedule = config, schedule
        self.screen_gradient = "absolute" if config.absolute_gradient else "signed"
        self._gradient_sum: Tensor | None = None
        self._views: Tensor | None = None

    def penalty(self, gaussians: Gaussians, shot: Shot) -> Tensor | None:
        config = self.config
        # Opacities may rise later in a run, so that fewer Gaussians lie on top of each other.
        decay = log_linear(1.0, config.opacity_end_factor, shot.context.progress)
        return penalty_of(
            gaussians, shot, opacity_weight=decay * config.opacity_weight, scale_weight=config.scale_weight
        )

    def observe(self, gradients: Gradients) -> None:
        found = gradients.screen_gradient
        if found is None:
            return
        if self._gradient_sum is None or self._views is None:
            self._gradient_sum, self._views = torch.zeros_like(found), torch.zeros_like(found)
        self._gradient_sum += found
        self._views += gradients.visible

    def refine(self, population: Population, context: StepContext) -> Refinement | None:
        config, schedule = self.config, self.schedule
        growing = schedule.refine_from <= context.progress < schedule.refine_until
        if growing and config.reset_opacity_every and context.step % config.reset_opacity_every == 0:
            _cut_opacities(population, 2 * config.prune_opacity)
        if config.noise and "means" not in population.frozen:
            strength = config.noise * context.means_rate / context.depth**2
            shake(population.gaussians, strength, context.scene_generator)
        if not refinement_is_due(schedule, context.step, context.run_steps):
            return None
        before = len(population)
        with torch.no_grad():
            gaussians = population.gaussians
            distances = context.clearance.distances(gaussians.means)
            sizes = gaussians.scales.amax(dim=1) / distances
            keep = (
                (gaussians.opacities >= config.prune_opacity)
                & (sizes <= config.prune_scale)
                & (distances >= context.clearance.radius)
            )
            grow = torch.zeros_like(keep)
            if growing and self._gradient_sum is not None and self._views is not None:
                score = self._gradient_sum / self._views.clamp_min(1)
                grow = _strongest(
                    score, keep & (score > config.threshold), context.max_gaussians - int(keep.sum())
                )
            split = grow & (sizes > config.split_scale)
            _rebuild(population, keep, grow, split, context)
            added = int(grow.sum())
        self._gradient_sum = self._views = None
        return Refinement(added, before + added - len(population))

    def state_dict(self) -> dict[str, Any]:
        return {"gradient_sum": self._gradient_sum, "views": self._views}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._gradient_sum, self._views = saved["gradient_sum"], saved["views"]


def _rebuild(population: Population, keep: Tensor, grow: Tensor, split: Tensor, context: StepContext) -> None:
    """Remove Gaussians not in ``keep``, split those in ``split``, and clone the others in ``grow``."""
    stay = (keep & ~split).nonzero().squeeze(1)
    twice = split.nonzero().squeeze(1).repeat(2)
    copies = (grow & ~split).nonzero().squeeze(1)
    source = torch.cat([stay, copies, twice])
    values = population.gaussians.detach().select(source)
    fresh = torch.ones_like(source, dtype=torch.bool)
    fresh[: len(stay)] = restarts_moments(context)
    if len(twice):
        _place_children(values, slice(len(stay) + len(copies), None))
    population.rearrange(source, fresh, values)


def _strongest(score: Tensor, candidates: Tensor, budget: int) -> Tensor:
    """The ``budget`` candidates with the highest scores."""
    ids = candidates.nonzero().squeeze(1)
    if len(ids) > budget:
        best = torch.sort(score[ids], descending=True, stable=True).indices[: max(budget, 0)]
        ids = ids[best]
    chosen = torch.zeros_like(candidates)
    chosen[ids] = True
    return chosen


def _place_children(values: Gaussians, children: slice) -> None:
    """Move the two children of each parent apart along its longest axis, shrink and fade them, in place.

    Args:
        values: Gaussians, of which the children are still copies of their parents.
        children: rows of the children: the first of every parent, then the second in the same order.
    """
    scales = values.scales[children]
    longest = scales.argmax(dim=1, keepdim=True)
    length = scales.gather(1, longest)
    side = torch.ones_like(length)
    side[len(length) // 2 :] = -1.0
    axis = rotation_from_quats(values.quats[children]).take_along_dim(longest[:, None], dim=2).squeeze(2)
    values.means[children] += side * CHILD_OFFSET * length * axis
    values.log_scales[children] = (CHILD_WIDTH * scales).scatter(1, longest, CHILD_LENGTH * length).log()
    values.logit_opacities[children] = torch.logit(CHILD_OPACITY * values.opacities[children])


def _cut_opacities(population: Population, most: float) -> None:
    logits = population.gaussians.logit_opacities
    with torch.no_grad():
        logits.clamp_(max=float(torch.logit(torch.tensor(most))))
    population.forget("logit_opacities")
