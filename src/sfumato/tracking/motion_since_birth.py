"""The motion of the Gaussians of a dynamic scene, separated from their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sfumato import ops
from sfumato.maths.quaternions import normalised
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.gaussians import Gaussians


class MotionSinceBirth:
    """The rigid motion of each of the m moving Gaussians from its first step to every other.

    It also carries Gaussians that were changed since: moved or turned at their first step, as if each were
    fixed in the local frame of the one that was tracked; or made from others, as by densification.

    Args:
        scene: with the poses that were tracked.
        source: [k] int64 row of ``scene`` whose motion each Gaussian follows; None: k = n, each its own.

    Attributes:
        ids: [j] int64 rows of the k Gaussians that move, ascending.
        columns: [j] int64 columns of the tracks that they follow.
    """

    ids: Tensor
    columns: Tensor

    def __init__(self, scene: DynamicScene, source: Tensor | None = None) -> None:
        tracks = torch.arange(len(scene.ids), device=scene.ids.device)
        columns = torch.full((len(scene),), -1, device=scene.ids.device)
        columns[scene.ids] = tracks
        if source is not None:
            columns = columns[source]
        self.ids = torch.nonzero(columns >= 0)[:, 0]
        self.columns = columns[self.ids]
        self._scene = scene
        self._at_birth = scene.means[scene.birth, tracks], scene.quats[scene.birth, tracks]

    def alive(self, step: int) -> Tensor:
        """Which of the moving Gaussians exist at a step: [len(ids)] bool."""
        return self._scene.alive(step)[self.columns]

    def poses(self, gaussians: Gaussians, step: int, tracks: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Poses at a step, of the a moving Gaussians that exist then.

        Args:
            gaussians: all k, each at its first step.
            step: index of the step.
            tracks: [m, 3] means and [m, 4] quaternions of the tracks at the step.

        Returns:
            [a, 3] means and [a, 4] quaternions, of the lengths of those of ``gaussians``.

        Gradients: means and quats of ``gaussians``, and ``tracks``.
        """
        alive = self.alive(step)
        rows, columns = self.ids[alive], self.columns[alive]
        means, quats = (tensor.index_select(0, rows) for tensor in (gaussians.means, gaussians.quats))
        return ops.rigid_motion(means, quats, *tracks, *self._at_birth, columns)

    def carried(self, gaussians: Gaussians, means: Sequence[Tensor], quats: Sequence[Tensor]) -> DynamicScene:
        """The dynamic scene of the k Gaussians, each at its first step.

        Args:
            gaussians: all of them, each as it is before the motion from its first step to its first step
                by the given tracks, which may differ from those of the scene.
            means, quats: of the tracks at each step, [m, 3] and [m, 4].
        """
        scene, moving = self._scene, len(self.ids)
        new_means = scene.means.new_full((scene.num_steps, moving, 3), torch.nan)
        new_quats = scene.quats.new_full((scene.num_steps, moving, 4), torch.nan)
        for step, tracks in enumerate(zip(means, quats, strict=True)):
            alive = self.alive(step)
            moved, rotated = self.poses(gaussians, step, tracks)
            new_means[step, alive], new_quats[step, alive] = moved, normalised(rotated)
        birth, death = scene.birth[self.columns], scene.death[self.columns]
        found = DynamicScene(gaussians, self.ids, scene.times, new_means, new_quats, birth, death)
        return replace(found, gaussians=found.at_birth())
