"""The part of a training step that renders moving Gaussians where a photograph's step finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.motion_since_birth import MotionSinceBirth
from sfumato.tracking.track_state import INVISIBLE
from sfumato.tracking.trained_poses import TrainedPoses
from sfumato.training.part import Gradients, Part, Shot
from sfumato.training.state import TrainState


class TrackedMotion(Part):
    """Renders the moving Gaussians as they are at a photograph's step, in the colours of its camera.

    The poses are trained too. Gaussians that densification adds follow the tracks of those from which they
    were made.

    Args:
        scene: as tracked. Its Gaussians are trained as they are in their first steps.
        poses: of its tracks.
        steps: time step of each training view.
        gains, offsets: [v, 3] colour of each training view: gain * render + offset.
    """

    name = "tracked motion"

    def __init__(
        self,
        scene: DynamicScene,
        poses: TrainedPoses,
        steps: Sequence[int],
        gains: Tensor,
        offsets: Tensor,
    ) -> None:
        self._scene, self._poses, self._steps = scene, poses, tuple(steps)
        self._gains, self._offsets = gains, offsets
        self._source = torch.arange(len(scene))
        self._motion = MotionSinceBirth(scene)

    def drawn(self, gaussians: Gaussians, shot: Shot) -> Gaussians:
        motion, step = self._motion, self._steps[shot.number]
        tracks, alive = self._poses.at(step), motion.alive(step)
        rows, gone = motion.ids[alive], motion.ids[~alive]
        means, quats = motion.poses(gaussians, step, (tracks.means, tracks.quats))
        return replace(
            gaussians,
            means=gaussians.means.index_copy(0, rows, means),
            quats=gaussians.quats.index_copy(0, rows, quats),
            logit_opacities=gaussians.logit_opacities.index_fill(0, gone, INVISIBLE),
        )

    def apply(self, image: Tensor, shot: Shot) -> Tensor:
        return image * self._gains[shot.number] + self._offsets[shot.number]

    def penalty(self, gaussians: Gaussians, shot: Shot) -> Tensor | None:
        return self._poses.penalty(self._steps[shot.number])

    def parameters(self) -> dict[str, Tensor]:
        poses = {step: self._poses.at(step) for step in set(self._steps)}
        return {f"{step} {name}": leaf for step, at in poses.items() for name, leaf in vars(at).items()}

    def step(self, state: TrainState, gradients: Gradients) -> None:
        found = gradients.of_parts[self.name]
        for step in {self._steps[view] for view in gradients.views}:
            of_poses = found[f"{step} means"], found[f"{step} quats"]
            self._poses.descend(step, of_poses, gradients.context.progress)

    def rearrange(self, source: Tensor) -> None:
        """Keep the tracks of the Gaussians from which new ones were made."""
        self._source = self._source[source]
        self._motion = MotionSinceBirth(self._scene, self._source)

    def carried(self, gaussians: Gaussians) -> DynamicScene:
        """The dynamic scene of the Gaussians in training."""
        poses = self._poses.all
        return self._motion.carried(gaussians, [at.means for at in poses], [at.quats for at in poses])
