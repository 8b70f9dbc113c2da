"""Pose refinement: a small correction of each training photograph's pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.dataset import View
from sfumato.maths.device_copies import moved_like
from sfumato.maths.rigid import cross_matrix, rigid_from_twist
from sfumato.ops import adam_step
from sfumato.ops.backend import HOST
from sfumato.scene.cameras import Camera
from sfumato.training.config import TrainConfig
from sfumato.training.part import Gradients, Part, Shot
from sfumato.training.schedules import rate_of

if TYPE_CHECKING:
    from sfumato.training.state import TrainState


class Poses(Part):
    """Learned corrections of training cameras: exp(twist) camera_from_world, the twist in the camera's frame.

    A similarity of the whole world with all cameras changes no picture (gauge freedom), so the scene would
    drift from the frame of the input cameras. This component of the corrections is removed after each step.
    Held-out views keep their given poses, so that their metrics are comparable with those of other runs; if
    the given poses are poor, these metrics mean little.

    Args:
        given: [n, 4, 4] float64 camera_from_world of the training views.
        depth: distance of the scene from the cameras, scene units.
        config: learning rates, and the start of the corrections.
        device: of the scene.
    """

    name = "poses"

    def __init__(self, given: Tensor, depth: float, config: TrainConfig, device: torch.device = HOST) -> None:
        self._depth, self.config = depth, config
        # Rotation vectors in radians and velocities in depths.
        self._twists = torch.zeros(len(given), 6, device=device, requires_grad=True)
        self._moments = torch.zeros(2, len(given), 6, device=device)
        self._visits = torch.zeros(len(given), dtype=torch.int64)
        shared = _shared_motions(given, depth)
        # NumPy's einsum adds in the same order for any number of threads.
        normal = np.einsum("nik,nil->kl", shared, shared)
        # For coincident cameras, or a single one, some of the seven motions are linearly dependent.
        inverse = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
        self._shared, self._inverse = (torch.from_numpy(array).to(device) for array in (shared, inverse))

    @classmethod
    def of(
        cls, views: Sequence[View], depth: float, config: TrainConfig, device: torch.device = HOST
    ) -> Poses:
        """Corrections of the cameras of training views, all zero."""
        given = torch.stack([view.camera.camera_from_world.double() for view in views])
        return cls(given, depth, config, device)

    def prepare(self, shot: Shot) -> Shot:
        with torch.set_grad_enabled(self._has_begun(shot.context.progress)):
            return replace(shot, camera=self.refined(shot.camera, shot.number))

    def parameters(self) -> dict[str, Tensor]:
        return {"twists": self._twists}

    def refined(self, camera: Camera, view: int) -> Camera:
        """The corrected camera of photograph ``view``; both poses of a rolling shutter are corrected.

        Its poses are on the device of the scene, as are their gradients.

        Gradients: the twist of the photograph, through camera_from_world and the shutter's.
        """
        pose, shutter = camera.camera_from_world, camera.shutter
        turn, velocity = self._twists[view].to(pose.dtype).split(3)
        correction = rigid_from_twist(torch.cat([turn, self._depth * velocity]))
        if shutter is not None:
            end = correction @ moved_like(shutter.camera_from_world_end, correction)
            shutter = replace(shutter, camera_from_world_end=end)
        return replace(camera, camera_from_world=correction @ moved_like(pose, correction), shutter=shutter)

    @torch.no_grad()
    def step(self, state: TrainState, gradients: Gradients) -> None:
        progress, rates = gradients.context.progress, self.config.rates
        if not self._has_begun(progress):
            return
        # Rates of rotations in radians, and of translations in depths.
        rate = self._twists.new_empty(6)
        rate[:3] = rate_of(rates, "pose_rotations", progress)
        rate[3:] = rate_of(rates, "pose_translations", progress)
        seen = torch.ones(1, dtype=torch.bool, device=rate.device)
        for view in gradients.views:
            row = slice(view, view + 1)
            self._visits[view] += 1
            adam_step(
                self._twists.data[row],
                gradients.of_parts[self.name]["twists"][row],
                self._moments[0, row],
                self._moments[1, row],
                seen,
                rate=rate,
                # Each photograph is visited rarely, so each has its own step count: with the global one,
                # Adam's bias correction would make the first steps several times too large.
                step=int(self._visits[view]),
            )
        self._twists -= self._drift()

    def _has_begun(self, progress: float) -> bool:
        return progress >= self.config.schedule.poses_from

    def _drift(self) -> Tensor:
        """[n, 6] the component of the twists that is a similarity of the world, by least squares."""
        # Sums rather than matrix products, whose order may depend on the number of threads.
        twists = self._twists.detach().double()
        along = (self._shared * twists[..., None]).sum((0, 1))
        motion = (self._inverse * along).sum(1)
        return (self._shared * motion).sum(2).to(self._twists)

    def state_dict(self) -> dict[str, Any]:
        return {"twists": self._twists.detach(), "moments": self._moments, "visits": self._visits}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._twists = saved["twists"].clone().requires_grad_()
        self._moments, self._visits = saved["moments"].clone(), saved["visits"].to(HOST, copy=True)


def _shared_motions(given: Tensor, depth: float) -> np.ndarray:
    """[n, 6, 7] twists, in radians and depths, of rotations, translations and scaling of the world.

    Rotations and scaling are about the mean of the cameras, which keeps the columns well conditioned.
    """
    rotations, translations = given[:, :3, :3], given[:, :3, 3]
    centres = -(rotations.mT @ translations[..., None])[..., 0]
    centre = (rotations @ centres.mean(dim=0) + translations) / depth
    rotation_twists = torch.cat([rotations, cross_matrix(centre) @ rotations], dim=1)
    shifts = torch.cat([torch.zeros_like(rotations), rotations], dim=1)
    scaling = torch.cat([torch.zeros_like(centre), centre], dim=1)[..., None]
    return torch.cat([rotation_twists, shifts, scaling], dim=2).numpy()
