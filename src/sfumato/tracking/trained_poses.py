"""The poses of all steps, while they are trained together."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.maths.neighbours import Neighbours
from sfumato.scene.dynamic import DynamicScene
from sfumato.tracking.body_descent import BodyDescent
from sfumato.tracking.pose_descent import PoseDescent, motion_penalty
from sfumato.tracking.track_state import MovingPoses, TrackState

# Learning rates of positions at the start and at the end, of Gaussians and of bodies: pixels of the median
# camera.
_RATE_START_PX, _RATE_END_PX = 0.1, 0.02


class TrainedPoses:
    """The poses of the m moving Gaussians of a scene at every step, as parameters.

    Where a Gaussian does not exist, it is where it first or last does.

    Args:
        scene: as tracked.
        state: after the last step.
    """

    def __init__(self, scene: DynamicScene, state: TrackState) -> None:
        self._alive = [scene.alive(step) for step in range(scene.num_steps)]
        self._weights, self._pixel_size = state.config.priors, state.pixel_size
        self._neighbours, self._edge_weights = _of_tracks(state, scene)
        columns = torch.arange(len(scene.ids))
        self._steps = []
        for step in range(scene.num_steps):
            nearest = torch.minimum(scene.birth.clamp(min=step), scene.death - 1)
            poses = MovingPoses(scene.means[nearest, columns], scene.quats[nearest, columns])
            self._steps.append(PoseDescent(poses, state.spacing))
        self._bodies = []
        if state.bodies is not None:
            rows = _columns(state, scene)
            for alive in self._alive:
                exist = alive[rows]
                self._bodies.append(BodyDescent(state.bodies.of[exist], rows[exist], len(state.bodies)))

    def at(self, step: int) -> MovingPoses:
        """Poses [m] at a step: leaves; quaternions of any length."""
        return self._steps[step].leaves

    @property
    def all(self) -> list[MovingPoses]:
        """The poses [m] at each step, outside the autograd graph."""
        return [step.poses for step in self._steps]

    def penalty(self, step: int) -> Tensor | None:
        """The priors on the motion to a step from the one before; None for the first."""
        if step == 0:
            return None
        alive, rows = self._alive[step] & self._alive[step - 1], self._neighbours.rows
        both = alive[:, None] & alive.index_select(0, rows.clamp(min=0).view(-1)).view(rows.shape)
        before = self._steps[step - 1].poses
        edges = self._edge_weights * both
        return motion_penalty(self._weights, before, self.at(step), self._neighbours, edges)

    def descend(self, step: int, gradients: tuple[Tensor, Tensor], progress: float) -> None:
        """Change the poses of a step.

        Args:
            step: index of the step.
            gradients: with respect to means and quaternions.
            progress: fraction of the training that is done.
        """
        rate_px = _RATE_START_PX * (_RATE_END_PX / _RATE_START_PX) ** progress
        rate = rate_px * self._pixel_size
        self._steps[step].descend(gradients, rate)
        if self._bodies:
            self._bodies[step].descend(self.at(step), gradients, rate)


def _columns(state: TrackState, scene: DynamicScene) -> Tensor:
    """[m] columns of a state's moving Gaussians in its scene, which has more, in another order."""
    return torch.searchsorted(scene.ids, state.ids)


def _of_tracks(state: TrackState, scene: DynamicScene) -> tuple[Neighbours, Tensor]:
    """Neighbours and edge weights of a state, for the tracks of its scene."""
    columns = _columns(state, scene)
    near, count = state.neighbours, len(scene.ids)
    rows = near.rows.new_full((count, near.rows.shape[1]), -1)
    rows[columns] = torch.where(near.rows >= 0, columns[near.rows.clamp(min=0)].int(), -1)
    weights, distances, edge_weights = (
        values.new_zeros(rows.shape).index_copy(0, columns, values)
        for values in (near.weights, near.distances, state.edge_weights)
    )
    return Neighbours(rows, weights, distances), edge_weights
