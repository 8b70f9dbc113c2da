"""Gaussians in the steps between the first appearance of their object and their birth."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.maths.neighbours import near_neighbours
from sfumato.tracking.bodies import extrapolated, find_bodies
from sfumato.tracking.track_state import MISSING_STEPS


def extended_before_birth(
    means: Tensor, quats: Tensor, birth: Tensor, opacities: Tensor, neighbours: int
) -> Tensor:
    """Continue the motion of Gaussians back to the step in which something was first missing.

    Gaussians are born when something has been missing for some steps. During these steps, the Gaussians of
    each body repeat the motion that they have after their birth, for which they need poses in two steps.

    Args:
        means: [t, m, 3] NaN before birth; completed in place.
        quats: [t, m, 4] the same.
        birth: [m] int64 first step of each.
        opacities: [m].
        neighbours: number of neighbours by which bodies are found.

    Returns:
        [m] int64 first step of each.
    """
    first = birth.clone()
    for born in birth.unique().tolist():
        rows = torch.nonzero((birth == born) & means[born + 1 : born + 2, :, 0].isfinite().any(0))[:, 0]
        if born == 0 or len(rows) < 2:
            continue
        later, now = ((means[step, rows], quats[step, rows]) for step in (born + 1, born))
        bodies = find_bodies(now[0], opacities[rows], near_neighbours(now[0], neighbours))
        for step in range(born - 1, max(born - MISSING_STEPS, 0), -1):
            later, now = now, extrapolated(bodies, later, now)
            means[step, rows], quats[step, rows] = now
            first[rows] = step
    return first
