"""One step in time: the moving Gaussians follow the photographs. This is the page to read first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato import ops
from sfumato.maths.quaternions import normalised
from sfumato.render.rasterize import rasterize
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.cut_photographs import Photographs
from sfumato.tracking.track_state import TrackState

# Running means of Adam: short ones, as a step has few iterations.
_BETAS = (0.8, 0.95)
_ADAM_EPS = 1e-15


@dataclass(frozen=True)
class MovingPoses:
    """Of m moving Gaussians.

    Attributes:
        means: [m, 3] world frame, scene units.
        quats: [m, 4] world_from_local as (w, x, y, z), of length one.
    """

    means: Tensor
    quats: Tensor


@torch.enable_grad()
def track_step(state: TrackState, step: int) -> MovingPoses:
    """Find the poses of the moving Gaussians at a step from those at the steps before.

    Args:
        state: with the poses of all earlier steps; it is not changed.
        step: from 1.

    Returns:
        The poses, outside the autograd graph.
    """
    poses = predicted(state, step)
    photographs = Photographs(state, step, poses)
    visits = _visits(state, step, len(photographs))
    coarse = round(state.config.coarse_share * len(visits)) if state.config.nodes else 0
    poses = _move_nodes(state, photographs, poses, visits[:coarse])
    return _move_gaussians(state, photographs, poses, visits[coarse:], after_nodes=coarse > 0)


def predicted(state: TrackState, step: int) -> MovingPoses:
    """The poses that a step starts from: the last ones, moved on as they moved last."""
    means, quats = state.means[step - 1], state.quats[step - 1]
    if not (state.config.forward_motion and step > 1):
        return MovingPoses(means, quats)
    before = state.quats[step - 2]
    nearer = torch.where((before * quats).sum(1, keepdim=True) < 0, -before, before)
    return MovingPoses(2 * means - state.means[step - 2], normalised(2 * quats - nearer))


def _visits(state: TrackState, step: int, cameras: int) -> list[int]:
    """Cameras in random order, each equally often; the same for the same seed and step."""
    generator = torch.Generator().manual_seed((state.config.seed << 20) + step)
    count, order = state.config.visits(cameras), list[int]()
    while cameras and len(order) < count:
        order += torch.randperm(cameras, generator=generator).tolist()
    return order[:count]


def _move_nodes(
    state: TrackState, photographs: Photographs, start: MovingPoses, visits: list[int]
) -> MovingPoses:
    """Coarse stage: the nodes carry all Gaussians, seen at half resolution."""
    if not visits:
        return start
    nodes = state.nodes
    shifts = torch.zeros(len(nodes), 3, requires_grad=True)
    turns = torch.zeros(len(nodes), 4)
    turns[:, 0] = 1.0
    turns.requires_grad_()
    rates = _StepSizes(state, len(visits), state.config.node_factor)
    adam = rates.optimiser(shifts, turns)
    for iteration, camera in enumerate(visits):
        rates.set(adam, iteration)
        means, quats = nodes.carry(shifts, turns, start.means, start.quats)
        _loss(state, photographs, camera, means, quats, downscale=2).backward()
        adam.step()
        adam.zero_grad(set_to_none=True)
    with torch.no_grad():
        return MovingPoses(*nodes.carry(shifts, turns, start.means, start.quats))


def _move_gaussians(
    state: TrackState, photographs: Photographs, start: MovingPoses, visits: list[int], *, after_nodes: bool
) -> MovingPoses:
    """Fine stage: each Gaussian moves on its own, held by the priors."""
    means, quats = start.means.clone().requires_grad_(), start.quats.clone().requires_grad_()
    rates = _StepSizes(state, len(visits), state.config.fine_factor if after_nodes else 1.0)
    adam = rates.optimiser(means, quats)
    for iteration, camera in enumerate(visits):
        rates.set(adam, iteration)
        downscale = 2 if not after_nodes and iteration < state.config.coarse_share * len(visits) else 1
        _loss(state, photographs, camera, means, quats, downscale=downscale).backward()
        adam.step()
        adam.zero_grad(set_to_none=True)
    return MovingPoses(means.detach(), normalised(quats.detach()))


def _loss(
    state: TrackState, photographs: Photographs, camera: int, means: Tensor, quats: Tensor, *, downscale: int
) -> Tensor:
    """What one camera and the priors say of poses."""
    loss = _prior_loss(state, means, quats)
    for part in photographs.parts(camera, downscale):
        scene = joined(part.still, state.moving_gaussians, means, quats)
        image = state.exposed(rasterize(scene, part.camera, state.settings).image, part.number)
        loss = loss + part.share * ops.photometric_loss(
            image, part.image, part.weight, ssim_weight=state.config.ssim_weight
        )
    return loss


def _prior_loss(state: TrackState, means: Tensor, quats: Tensor) -> Tensor:
    priors = state.config.priors
    values = ops.motion_priors(
        means,
        quats,
        state.means[-1],
        state.quats[-1],
        state.neighbours,
        state.edge_weights,
        state.rest_distances,
    )
    return (values * values.new_tensor((priors.rigidity, priors.rotation, priors.isometry))).sum()


def joined(still: Gaussians, moving: Gaussians, means: Tensor, quats: Tensor) -> Gaussians:
    """The Gaussians that stand still, and behind them those that move, at given poses."""
    at = {**moving.tensors(), "means": means, "quats": quats}
    return Gaussians(**{name: torch.cat([tensor, at[name]]) for name, tensor in still.tensors().items()})


class _StepSizes:
    """Learning rates of a stage: log-linear, in pixels of the median camera."""

    def __init__(self, state: TrackState, iterations: int, factor: float) -> None:
        config = state.config
        self.start, self.end = factor * config.rate_start, factor * config.rate_end
        self.iterations = max(iterations - 1, 1)
        self.unit, self.turn = state.pixel_size, state.pixel_size / state.spacing

    def optimiser(self, positions: Tensor, rotations: Tensor) -> torch.optim.Adam:
        """Adam on positions and rotations."""
        return torch.optim.Adam(
            [{"params": [positions]}, {"params": [rotations]}], betas=_BETAS, eps=_ADAM_EPS
        )

    def set(self, adam: torch.optim.Adam, iteration: int) -> None:
        """Choose the rates of an iteration: rotations turn as far as a neighbour's distance makes a pixel."""
        pixels = self.start * math.exp(iteration / self.iterations * math.log(self.end / self.start))
        adam.param_groups[0]["lr"] = pixels * self.unit
        adam.param_groups[1]["lr"] = 0.5 * pixels * self.turn
