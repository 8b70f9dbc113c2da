"""The result of a tracked run as a dynamic scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised
from sfumato.scene.dynamic import DynamicScene
from sfumato.tracking.before_birth import carried_before_birth, extended_before_birth
from sfumato.tracking.track_state import NEVER, TrackState


def scene_over_time(state: TrackState, times: Sequence[float]) -> DynamicScene:
    """The Gaussians of all completed steps. Static ones that died are stored among the moving ones.

    Those that were born are extended back to the step in which something was first missing.

    Args:
        state: of the run.
        times: [t] seconds of at least the completed steps.
    """
    steps, gaussians = state.step, state.gaussians
    still = torch.ones(len(gaussians), dtype=torch.bool)
    still[state.ids] = False
    ends = state.still_death < NEVER
    gone = torch.nonzero(still)[:, 0][ends]
    ids = torch.cat([state.ids, gone])
    standing = (gaussians.means[gone], normalised(gaussians.quats[gone]))
    birth = torch.cat([state.birth, torch.zeros_like(gone)])
    death = torch.cat([state.death, state.still_death[ends]]).clamp(max=steps)
    order = ids.argsort()
    means, quats = (
        _over_time(moving, stands, birth, death)[:, order]
        for moving, stands in zip((state.means, state.quats), standing, strict=True)
    )
    ids, birth, death = ids[order], birth[order], death[order]
    neighbours = state.config.neighbours
    first = extended_before_birth(means, quats, birth, gaussians.opacities[ids], neighbours)
    seconds = torch.tensor(times[:steps], dtype=torch.float64)
    scene = DynamicScene(gaussians, ids, seconds, means, quats, first, death)
    return replace(scene, gaussians=scene.at_birth())


def with_late_parts(scene: DynamicScene, state: TrackState) -> DynamicScene:
    """Gaussians born late in a body carried back with its older ones: see ``carried_before_birth``.

    The moving areas of earlier photographs are found again, which takes seconds.

    Args:
        scene: of ``scene_over_time``.
        state: of the run.
    """
    means, quats = scene.means.clone(), scene.quats.clone()
    opacities, moving_at = scene.gaussians.opacities[scene.ids], cache(state.foreground.at)
    first = carried_before_birth(means, quats, scene.birth, opacities, state.config.neighbours, moving_at)
    found = replace(scene, means=means, quats=quats, birth=first)
    return replace(found, gaussians=found.at_birth())


def _over_time(moving: Sequence[Tensor], standing: Tensor, birth: Tensor, death: Tensor) -> Tensor:
    """[t, m, d] of the moving Gaussians, then of the static ones; NaN where they do not exist."""
    most = len(birth) - len(standing)
    rows = []
    for step, values in enumerate(moving):
        later = values.new_full((most - len(values), values.shape[1]), torch.nan)
        values_of_all = torch.cat([values, later, standing])
        exists = (birth <= step) & (step < death)
        rows.append(torch.where(exists[:, None], values_of_all, torch.nan))
    return torch.stack(rows)
