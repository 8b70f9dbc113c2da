"""Gaussians in the steps between the first appearance of their object and their birth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sfumato.maths.neighbours import near_neighbours
from sfumato.maths.quaternions import normalised, quat_from_rotation, quat_product
from sfumato.maths.rigid import best_rotation
from sfumato.scene.cameras import Camera
from sfumato.tracking.bodies import extrapolated, find_bodies
from sfumato.tracking.track_state import MISSING_STEPS
from sfumato.tracking.vote import MOVING_SHARE, move_by_vote

# Least number of older Gaussians that carry those born later in their body.
_LEAST_CARRIERS = 8


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


def carried_before_birth(
    means: Tensor,
    quats: Tensor,
    first: Tensor,
    opacities: Tensor,
    neighbours: int,
    moving_at: Callable[[int], Sequence[tuple[Camera, Tensor | None]]],
) -> Tensor:
    """Carry Gaussians back with the older ones of their body, while the cameras see something move there.

    The Gaussians of an object that enters or turns are born in parts, later than the parts came into view.

    Args:
        means: [t, m, 3] NaN before the first step of each; completed in place.
        quats: [t, m, 4] the same.
        first: [m] int64 first step of each.
        opacities: [m].
        neighbours: number of neighbours by which bodies are found.
        moving_at: the training cameras, and where something moves in their photographs of a step.

    Returns:
        [m] int64 first step of each. Nothing is carried back to the first step of the run.
    """
    first = first.clone()
    for born in first.unique().tolist():
        late = first == born
        rows = torch.nonzero(means[born, :, 0].isfinite() & (first <= born))[:, 0]
        if born < 2 or bool(late[rows].all()):
            continue
        near = near_neighbours(means[born, rows], neighbours)
        bodies = find_bodies(means[born, rows], opacities[rows], near)
        for number in range(len(bodies)):
            inside = bodies.of == number
            carriers = rows[inside & bodies.members & ~late[rows]]
            carried = rows[inside & late[rows]]
            for step in range(born - 1, 0, -1):
                carriers = carriers[means[step, carriers, 0].isfinite()]
                if len(carriers) < _LEAST_CARRIERS or not len(carried):
                    break
                then = means[step + 1, carriers], means[step, carriers]
                at, turned = _moved_rigidly(*then, means[step + 1, carried], quats[step + 1, carried])
                stays = torch.from_numpy(move_by_vote(at.double().numpy(), moving_at(step), MOVING_SHARE))
                carried = carried[stays]
                means[step, carried], quats[step, carried] = at[stays], turned[stays]
                first[carried] = step
    return first


def _moved_rigidly(before: Tensor, after: Tensor, means: Tensor, quats: Tensor) -> tuple[Tensor, Tensor]:
    """Means [k, 3] and quaternions [k, 4] after the best-fitting rigid motion of points [c, 3]."""
    centre, moved = before.double().mean(0), after.double().mean(0)
    products = (before - centre).T @ (after - moved)
    rotation = best_rotation(products[None])
    turn = quat_from_rotation(rotation).to(quats)
    at = (means.double() - centre) @ rotation[0].T + moved
    return at.to(means), normalised(quat_product(turn.expand_as(quats), quats))
