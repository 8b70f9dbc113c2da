"""One step in time: the moving Gaussians follow the photographs. This is the page to read first."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sfumato import ops
from sfumato.maths.quaternions import normalised
from sfumato.tracking.births import with_changes
from sfumato.tracking.bodies import extrapolated
from sfumato.tracking.node_alignment import aligned
from sfumato.tracking.photograph_parts import PhotographPart, Photographs, part_losses
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import MovingPoses, StepResult, TrackState

# Decay rates of Adam: low, as a step has few iterations.
_BETAS = (0.8, 0.95)
# Gradients below this share of the root mean square are mostly rounding, as of hidden Gaussians.
_EPSILON = 1e-3


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
    means, quats = (tensor.clone().requires_grad_() for tensor in (start.means, start.quats))
    adam = torch.optim.Adam([{"params": [means]}, {"params": [quats]}], betas=_BETAS)
    for iteration, index in enumerate(visits):
        rate = state.pixel_size * _rate_px(state.config, iteration / len(visits))
        adam.param_groups[0]["lr"] = rate
        # A rotation step moves neighbours of a Gaussian by half as much as a position step.
        adam.param_groups[1]["lr"] = 0.5 * rate / state.spacing
        _loss(state, photographs.parts(index, 1), MovingPoses(means, quats)).backward()
        if iteration == 0:
            assert means.grad is not None
            least = _EPSILON * float(means.grad.square().mean().sqrt())
            adam.param_groups[0]["eps"], adam.param_groups[1]["eps"] = least, least * state.spacing
        adam.step()
        adam.zero_grad(set_to_none=True)
    return MovingPoses(means.detach(), normalised(quats.detach()))


def _rate_px(config: TrackConfig, progress: float) -> float:
    """Learning rate of positions, pixels of the median camera, log-linear in the progress of a step."""
    return config.rate_start * (config.rate_end / config.rate_start) ** progress


def _loss(state: TrackState, parts: Iterable[PhotographPart], poses: MovingPoses) -> Tensor:
    """Photometric loss of one camera's photograph plus the priors."""
    weights, near = state.config.priors, state.neighbours
    before = state.means[-1], state.quats[-1]
    priors = ops.motion_priors(
        poses.means, poses.quats, *before, near.rows, state.edge_weights, near.distances
    )
    loss = priors @ priors.new_tensor((weights.rigidity, weights.rotation, weights.isometry))
    for value in part_losses(state, parts, state.moved(poses)):
        loss = loss + value
    return loss
