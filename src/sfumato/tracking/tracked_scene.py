"""Points tracked through a dynamic scene by the Gaussians they belong to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.checks import check_finite, check_shapes
from sfumato.errors import ConfigError
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.render.settings import RasterSettings
from sfumato.render.visibility import contributions
from sfumato.scene.cameras import Camera
from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.rays import camera_rays

# Number of Gaussians with the nearest centres that are compared by Mahalanobis distance.
_CANDIDATES = 32
# Gaussians with lower opacity carry no points.
_LEAST_OPACITY = 0.1


class TrackedScene(DynamicScene):
    """A dynamic scene in which points can be tracked.

    A point is carried by one Gaussian and fixed in its local frame.
    """

    def track(self, points: Tensor, t0: int = 0) -> Tensor:
        """Track points forwards and backwards in time from a step.

        Args:
            points: [p, 3] at step ``t0``, world frame, scene units. Each belongs to the Gaussian with the
                smallest Mahalanobis distance, among those that are not nearly transparent.
            t0: index of a step.

        Returns:
            [t, p, 3] positions at each step; NaN where the Gaussian does not exist.

        Raises:
            ConfigError: there is no such step, or a point is not finite.
            ShapeError: the points have another shape.
        """
        check_shapes(points=(points, "p 3"))
        check_finite("points", points)
        self._check_step(t0)
        now = self.at(float(self.times[t0]))
        candidates = torch.nonzero(now.opacities >= _LEAST_OPACITY)[:, 0]
        if not len(candidates):
            raise ConfigError(f"no Gaussian of step {t0} is opaque enough to follow a point")
        count = min(_CANDIDATES, len(candidates))
        tree = cKDTree(now.means[candidates].double().cpu().numpy())
        near = tree.query(points.double().cpu().numpy(), k=np.arange(1, count + 1))[1]
        rows = candidates[torch.from_numpy(near).to(candidates.device)]
        arms = points.to(now.means)[:, None] - now.means[rows]
        rotations = rotation_from_quats(now.quats[rows.flatten()]).view(*rows.shape, 3, 3)
        local = torch.einsum("pkba,pkb->pka", rotations, arms) / now.scales[rows]
        best = local.square().sum(-1).argmin(dim=1, keepdim=True)
        assert now.identities is not None
        return self._carried(points.to(now.means), now.identities[rows.gather(1, best)[:, 0]], t0)

    def track_pixel(
        self, camera: Camera, x: float, y: float, t0: int = 0, settings: RasterSettings = RasterSettings()
    ) -> Tensor:
        """Track the surface point that a camera sees at a pixel.

        Args:
            camera: with an ideal lens and a global shutter.
            x, y: pixels; the centre of the first one is (0.5, 0.5).
            t0: index of the step at which it is seen.
            settings: of the rasterizer.

        Returns:
            [t, 3] positions at each step. At ``t0`` the point is where the ray of the pixel meets the
            Gaussian with the largest contribution. NaN where that Gaussian does not exist.

        Raises:
            ConfigError: there is no such step, or nothing at the pixel.
        """
        self._check_step(t0)
        now = self.at(float(self.times[t0]))
        rows, weights = contributions(now, camera, settings, x, y)
        if not len(rows) or not weights.max() > 0:
            raise ConfigError(f"nothing is seen at pixel ({x:g}, {y:g}) of step {t0}")
        row = rows[weights.argmax()]
        origin, direction = _ray(camera, x, y, now.means)
        rotation = rotation_from_quats(now.quats[row][None])[0]
        # The response along a ray peaks where its derivative in the Gaussian's own frame is zero.
        along = (rotation.T @ direction) / now.scales[row]
        towards = (rotation.T @ (now.means[row] - origin)) / now.scales[row]
        point = origin + direction * (along @ towards) / (along @ along)
        assert now.identities is not None
        return self._carried(point[None], now.identities[row][None], t0)[:, 0]

    def _check_step(self, t0: int) -> None:
        if not 0 <= t0 < self.num_steps:
            raise ConfigError(f"t0 is {t0}; the scene has the steps 0 to {self.num_steps - 1}")

    def _carried(self, points: Tensor, rows: Tensor, t0: int) -> Tensor:
        """[t, p, 3] of points [p, 3] at step ``t0`` that belong to rows [p] of the Gaussians."""
        place = torch.full((len(self),), -1, dtype=torch.int64, device=rows.device)
        place[self.ids] = torch.arange(len(self.ids), device=rows.device)
        moving = place[rows] >= 0
        found = points.expand(self.num_steps, *points.shape).clone()
        columns = place[rows[moving]]
        means, quats = self.means[:, columns], self.quats[:, columns]
        rotations = rotation_from_quats(quats.reshape(-1, 4)).view(*quats.shape[:2], 3, 3)
        local = torch.einsum("pba,pb->pa", rotations[t0], points[moving] - means[t0])
        found[:, moving] = means + torch.einsum("tpab,pb->tpa", rotations, local)
        return found


def _ray(camera: Camera, x: float, y: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Origin and direction [3], world frame, of the ray through a position in the image."""
    # An image of one pixel centred at the position.
    centre_px = camera.centre_px[0] - x + 0.5, camera.centre_px[1] - y + 0.5
    rays = camera_rays(replace(camera, centre_px=centre_px, size_px=(1, 1)), like=like)
    return rays.origins.expand_as(rays.directions)[0, 0], rays.directions[0, 0]
