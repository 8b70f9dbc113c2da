"""One step in time: the moving Gaussians follow the photographs. This is the page to read first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato import ops
from sfumato.maths.quaternions import normalised
from sfumato.tracking.births import with_changes
from sfumato.tracking.cut_photographs import PhotographPart, Photographs, part_losses
from sfumato.tracking.node_alignment import aligned
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import MovingPoses, StepResult, TrackState

# Running means of Adam: short ones, as a step has few iterations.
_BETAS = (0.8, 0.95)
_EPSILON = 1e-15


@dataclass(frozen=True)
class StepStage:
    """A part of a step.

    Attributes:
        visits: cameras whose photographs are looked at, one an iteration.
        downscale: photographs are reduced this many times.
        factor: of the learning rates.
    """

    visits: list[int]
    downscale: int
    factor: float


@torch.enable_grad()
def track_step(state: TrackState, visits: int | None = None) -> StepResult:
    """Find the poses of the moving Gaussians at the next step from those at the steps before.

    Args:
        state: with the poses of the steps done, one or more; it is not changed.
        visits: photographs that are looked at; None: as the configuration says.

    Returns:
        StepResult, outside the autograd graph.
    """
    step, poses = state.step, predicted(state)
    photographs = Photographs(state, step, poses)
    if state.nodes is not None and state.config.align:
        poses = aligned(state, photographs, poses)
    count = state.config.visits(len(photographs)) if visits is None else visits
    looks = _in_random_order(state, len(photographs), count)
    coarse = round(state.config.coarse_share * count)
    move = _move_gaussians if state.nodes is None else _move_nodes
    poses = move(state, photographs, poses, StepStage(looks[:coarse], 2, state.config.coarse_factor))
    poses = _move_gaussians(state, photographs, poses, StepStage(looks[coarse:], 1, state.config.fine_factor))
    if state.config.births:
        return with_changes(state, photographs, poses)
    return StepResult(poses, None, state.absent, state.still_absent, 0)


def predicted(state: TrackState) -> MovingPoses:
    """The poses that the next step starts from: the last ones, moved on as they moved last."""
    means, quats = state.means[-1], state.quats[-1]
    if not (state.config.forward_motion and state.step > 1):
        return MovingPoses(means, quats)
    # What was born in the last step stands there.
    count = len(state.means[-2])
    means_before, before = (
        torch.cat([old, new[count:]]) for old, new in ((state.means[-2], means), (state.quats[-2], quats))
    )
    nearer = torch.where((before * quats).sum(1, keepdim=True) < 0, -before, before)
    return MovingPoses(2 * means - means_before, normalised(2 * quats - nearer))


def _in_random_order(state: TrackState, cameras: int, count: int) -> list[int]:
    """``count`` cameras in random order, each equally often; the same for the same seed and step."""
    generator = torch.Generator().manual_seed((state.config.seed << 20) + state.step)
    order = list[int]()
    while cameras and len(order) < count:
        order += torch.randperm(cameras, generator=generator).tolist()
    return order[:count]


def _move_nodes(
    state: TrackState, photographs: Photographs, start: MovingPoses, stage: StepStage
) -> MovingPoses:
    """The nodes carry all Gaussians."""
    nodes = state.nodes
    assert nodes is not None
    shifts, turns = torch.zeros(len(nodes), 3), torch.zeros(len(nodes), 4)
    turns[:, 0] = 1.0

    def carried(shifts: Tensor, turns: Tensor) -> MovingPoses:
        return MovingPoses(*nodes.carry(shifts, turns, start.means, start.quats))

    return _descend(state, photographs, stage, carried, shifts, turns)


def _move_gaussians(
    state: TrackState, photographs: Photographs, start: MovingPoses, stage: StepStage
) -> MovingPoses:
    """Each Gaussian moves on its own, held by the priors."""
    found = _descend(state, photographs, stage, MovingPoses, start.means.clone(), start.quats.clone())
    return MovingPoses(found.means, normalised(found.quats))


def _descend(
    state: TrackState,
    photographs: Photographs,
    stage: StepStage,
    posed: Callable[[Tensor, Tensor], MovingPoses],
    positions: Tensor,
    rotations: Tensor,
) -> MovingPoses:
    """Adam on what moves.

    Args:
        state, photographs: of the step.
        stage: which photographs are looked at, and how.
        posed: from positions and rotations to the poses of the Gaussians.
        positions: [.., 3] of what moves, at the start; changed in place.
        rotations: [.., 4] likewise.
    """
    leaves = positions.requires_grad_(), rotations.requires_grad_()
    adam = torch.optim.Adam([{"params": [leaf]} for leaf in leaves], betas=_BETAS, eps=_EPSILON)
    for iteration, camera in enumerate(stage.visits):
        pixels = stage.factor * _rate_px(state.config, iteration / len(stage.visits))
        adam.param_groups[0]["lr"] = pixels * state.pixel_size
        # A turn moves the neighbours of a Gaussian: by half as much as the Gaussian itself may move.
        adam.param_groups[1]["lr"] = 0.5 * pixels * state.pixel_size / state.spacing
        _loss(state, photographs.parts(camera, stage.downscale), posed(*leaves)).backward()
        adam.step()
        adam.zero_grad(set_to_none=True)
    with torch.no_grad():
        found = posed(*leaves)
        return MovingPoses(found.means.detach(), found.quats.detach())


def _rate_px(config: TrackConfig, progress: float) -> float:
    """Learning rate of positions, pixels of the median camera, at a share of a stage; log-linear."""
    return config.rate_start * (config.rate_end / config.rate_start) ** progress


def _loss(state: TrackState, parts: Iterable[PhotographPart], poses: MovingPoses) -> Tensor:
    """Of one camera's photograph, and the priors."""
    weights, near = state.config.priors, state.neighbours
    before = state.means[-1], state.quats[-1]
    priors = ops.motion_priors(
        poses.means, poses.quats, *before, near.rows, state.edge_weights, near.distances
    )
    loss = priors @ priors.new_tensor((weights.rigidity, weights.rotation, weights.isometry))
    for value in part_losses(state, parts, state.moved(poses)):
        loss = loss + value
    return loss
