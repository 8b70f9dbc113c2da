"""Adaptive density control (Kerbl et al. 2023) under a budget."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.render.output import Render
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import AdcConfig, Schedule
from sfumato.training.densify.noise import shake
from sfumato.training.densify.penalty import opacity_and_scale
from sfumato.training.densify.protocol import Moment, Refinement
from sfumato.training.population import Population

# A split leaves two Gaussians this much smaller (Kerbl et al. 2023).
SPLIT_SHRINK = 1.6


@dataclass
class AdaptiveDensityControl:
    """Clones and splits Gaussians whose centre is pulled hard in the image; prunes faint and huge ones.

    Of the candidates over the threshold, the strongest are taken until the number allowed is
    reached (as in Taming 3DGS, Mallick et al. 2024), so the cap is never a surprise.
    """

    config: AdcConfig
    schedule: Schedule

    def __post_init__(self) -> None:
        self.absolute_gradient = self.config.absolute_gradient
        self._pull: Tensor | None = None
        self._views: Tensor | None = None

    def penalty(self, gaussians: Gaussians, distances: Tensor) -> Tensor | None:
        config = self.config
        return opacity_and_scale(
            gaussians, distances, opacity_weight=config.opacity_weight, scale_weight=config.scale_weight
        )

    def observe(self, render: Render) -> None:
        pull = render.seen.pull()
        if pull is None:
            return
        if self._pull is None:
            self._pull, self._views = torch.zeros_like(pull), torch.zeros_like(pull)
        self._pull += pull
        self._views += render.seen.visible

    def refine(self, population: Population, now: Moment) -> Refinement | None:
        config, schedule = self.config, self.schedule
        growing = schedule.refine_from <= now.progress < schedule.refine_until
        if growing and config.reset_opacity_every and now.step % config.reset_opacity_every == 0:
            _cut_opacities(population, 2 * config.prune_opacity)
        if config.noise:
            shake(population.gaussians, config.noise * now.means_rate / now.depth**2, now.generator)
        if now.step % schedule.refine_every:
            return None
        before = len(population)
        with torch.no_grad():
            gaussians = population.gaussians
            distances = now.clearance.distances(gaussians.means)
            sizes = gaussians.scales.amax(dim=1) / distances
            keep = (
                (gaussians.opacities >= config.prune_opacity)
                & (sizes <= config.prune_scale)
                & (distances >= now.clearance.radius)
            )
            grow = torch.zeros_like(keep)
            if growing and self._pull is not None:
                score = self._pull / self._views.clamp_min(1)
                grow = _strongest(score, keep & (score > config.threshold), now.allowed - int(keep.sum()))
            split = grow & (sizes > config.split_scale)
            _rebuild(population, keep, grow, split, now.generator)
            added = int(grow.sum())
        self._pull = self._views = None
        return Refinement(added, before + added - len(population))

    def state_dict(self) -> dict:
        return {"pull": self._pull, "views": self._views}

    def load_state_dict(self, saved: dict) -> None:
        self._pull, self._views = saved["pull"], saved["views"]


def _rebuild(
    population: Population, keep: Tensor, grow: Tensor, split: Tensor, generator: torch.Generator
) -> None:
    """Leave out those not to ``keep``, replace those to ``split`` by two, and copy the others to ``grow``."""
    stay = (keep & ~split).nonzero().squeeze(1)
    twice = split.nonzero().squeeze(1).repeat(2)
    copies = (grow & ~split).nonzero().squeeze(1)
    source = torch.cat([stay, copies, twice])
    values = population.gaussians.detach().select(source)
    fresh = torch.ones(len(source), dtype=torch.bool)
    fresh[: len(stay)] = False
    if len(twice):
        _scatter_children(values, slice(len(stay) + len(copies), None), generator)
    population.rearrange(source, fresh, values)


def _strongest(score: Tensor, candidates: Tensor, budget: int) -> Tensor:
    """The ``budget`` candidates of highest score."""
    ids = candidates.nonzero().squeeze(1)
    if len(ids) > budget:
        best = torch.sort(score[ids], descending=True, stable=True).indices[: max(budget, 0)]
        ids = ids[best]
    chosen = torch.zeros_like(candidates)
    chosen[ids] = True
    return chosen


def _scatter_children(values: Gaussians, children: slice, generator: torch.Generator) -> None:
    """Move each child to a random point of its parent and shrink it, in place."""
    scales = values.scales[children]
    offsets = torch.randn(scales.shape, generator=generator) * scales
    rotations = rotation_from_quats(values.quats[children])
    values.means[children] += (rotations @ offsets[..., None]).squeeze(-1)
    values.log_scales[children] = (scales / SPLIT_SHRINK).log()


def _cut_opacities(population: Population, most: float) -> None:
    logits = population.gaussians.logit_opacities
    with torch.no_grad():
        logits.clamp_(max=float(torch.logit(torch.tensor(most))))
    population.forget("logit_opacities")
