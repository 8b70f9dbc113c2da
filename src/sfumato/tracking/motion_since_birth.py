"""The motion of the Gaussians of a dynamic scene, separated from their shapes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.maths.quaternions import conjugate, normalised, quat_product, rotation_from_quats
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians


class MotionSinceBirth:
    """The rigid motion of each of the m moving Gaussians from its first step to every other.

    It also carries Gaussians that were changed since: moved or turned at their first step, as if each were
    fixed in the local frame of the one that was tracked.

    Args:
        scene: with the poses that were tracked.
    """

    def __init__(self, scene: DynamicScene) -> None:
        columns = torch.arange(len(scene.ids), device=scene.ids.device)
        self.scene = scene
        self._means = scene.means[scene.birth, columns]
        self._from_birth = conjugate(scene.quats[scene.birth, columns])

    def poses(self, gaussians: Gaussians, step: int) -> tuple[Tensor, Tensor]:
        """Poses at a step, of the a moving Gaussians that exist then.

        Args:
            gaussians: all n, each at its first step.
            step: index of the step.

        Returns:
            [a, 3] means and [a, 4] quaternions, whose lengths are those of ``gaussians``.

        Gradients: means and quats of ``gaussians``.
        """
        scene = self.scene
        alive = scene.alive(step)
        rows = scene.ids[alive]
        rotation = quat_product(scene.quats[step][alive], self._from_birth[alive])
        shifts = gaussians.means[rows] - self._means[alive]
        rotated = torch.einsum("mab,mb->ma", rotation_from_quats(rotation), shifts)
        return scene.means[step][alive] + rotated, quat_product(rotation, gaussians.quats[rows])

    def carried(self, gaussians: Gaussians) -> DynamicScene:
        """The dynamic scene of changed Gaussians: all n, each at its first step."""
        means, quats = self.scene.means.clone(), self.scene.quats.clone()
        for step in range(self.scene.num_steps):
            alive = self.scene.alive(step)
            moved, rotated = self.poses(gaussians, step)
            means[step, alive], quats[step, alive] = moved, normalised(rotated)
        return replace(self.scene, gaussians=gaussians, means=means, quats=quats)
