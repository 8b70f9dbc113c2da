"""One step in time: the moving Gaussians follow the photographs. This is the page to read first."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised
from sfumato.tracking.births import with_changes
from sfumato.tracking.bodies import extrapolated
from sfumato.tracking.node_alignment import aligned
from sfumato.tracking.photograph_parts import PhotographPart, Photographs, part_losses
from sfumato.tracking.pose_descent import PoseDescent, motion_penalty
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import MovingPoses, StepResult, TrackState


@torch.enable_grad()
def track_step(state: TrackState, visits: int | None = None) -> StepResult:
    """Find the poses of the moving Gaussians at the next step from those at the previous steps.

    Args:
        state: with the poses of one or more completed steps; it is not changed.
        visits: number of iterations, each on one photograph; None: from the configuration.

    Returns:
        StepResult, outside the autograd graph.
    """
    expected = poses = predicted(state)
    photographs = Photographs(state, state.step, expected)
    if state.nodes is not None:
        poses = aligned(state, photographs, poses)
    count = state.config.visits(len(photographs)) if visits is None else visits
    poses = _descend(state, photographs, poses, _in_random_order(state, len(photographs), count))
    if state.config.births:
        return with_changes(state, photographs, expected, poses)
    return StepResult(poses, None, state.absent, state.still_absent, 0)


def predicted(state: TrackState) -> MovingPoses:
    """Initial poses of the next step: the last ones, extrapolated by their last motion."""
    means, quats = state.means[-1], state.quats[-1]
    if not (state.config.forward_motion and state.step > 1):
        return MovingPoses(means, quats)
    # Gaussians born in the last step have no motion yet.
    count = len(state.means[-2])
    means_before, before = (
        torch.cat([old, new[count:]]) for old, new in ((state.means[-2], means), (state.quats[-2], quats))
    )
    if state.bodies is not None:
        return MovingPoses(*extrapolated(state.bodies, (means_before, before), (means, quats)))
    nearer = torch.where((before * quats).sum(1, keepdim=True) < 0, -before, before)
    return MovingPoses(2 * means - means_before, normalised(2 * quats - nearer))


def _in_random_order(state: TrackState, cameras: int, count: int) -> list[int]:
    """``count`` cameras in random order, each equally often; deterministic in seed and step."""
    generator = torch.Generator().manual_seed((state.config.seed << 20) + state.step)
    order = list[int]()
    while cameras and len(order) < count:
        order += torch.randperm(cameras, generator=generator).tolist()
    return order[:count]


def _descend(
    state: TrackState, photographs: Photographs, start: MovingPoses, visits: list[int]
) -> MovingPoses:
    """Optimise the pose of each Gaussian, regularised by the priors, with Adam.

    Args:
        state, photographs: of the step.
        start: initial poses.
        visits: indices of the photographs, one per iteration.
    """
    descent = PoseDescent(start, state.spacing)
    leaves = descent.leaves
    for iteration, index in enumerate(visits):
        loss = _loss(state, photographs.parts(index, 1), leaves)
        of_means, of_quats = torch.autograd.grad(loss, (leaves.means, leaves.quats))
        rate = state.pixel_size * _rate_px(state.config, iteration / len(visits))
        descent.descend((of_means, of_quats), rate)
    return descent.poses


def _rate_px(config: TrackConfig, progress: float) -> float:
    """Learning rate of positions, pixels of the median camera, log-linear in the progress of a step."""
    return config.rate_start * (config.rate_end / config.rate_start) ** progress


def _loss(state: TrackState, parts: Iterable[PhotographPart], poses: MovingPoses) -> Tensor:
    """Photometric loss of one camera's photograph plus the priors."""
    loss = motion_penalty(state.config.priors, state.poses, poses, state.neighbours, state.edge_weights)
    for value in part_losses(state, parts, state.moved(poses)):
        loss = loss + value
    return loss
