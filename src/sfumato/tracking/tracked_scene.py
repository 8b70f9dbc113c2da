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

# Number of Gaussians that vote on the motion of a point.
_VOTERS = 32
# Points tracked at a time, which bounds memory.
_TOGETHER = 256
# Gaussians with lower opacity carry no points.
_LEAST_OPACITY = 0.1


class TrackedScene(DynamicScene):
    """A dynamic scene in which points can be tracked.

    A point is fixed in the local frame of one Gaussian. The Gaussians near the point elect it: its track has
    the least weighted distance to the tracks that the others would give. In the source it is the one with the
    largest influence on the point, which may belong to another object where two meet.

    Source: Luiten et al. 2024.
    """

    def track(self, points: Tensor, t0: int = 0) -> Tensor:
        """Track points forwards and backwards in time from a step.

        Args:
            points: [p, 3] at step ``t0``, world frame, scene units. The 32 Gaussians with the nearest centres
                vote, of those that are not nearly transparent, each with its opacity / (1 + d^2), where d is
                the Mahalanobis distance.
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
        count = min(_VOTERS, len(candidates))
        tree = cKDTree(now.means[candidates].double().cpu().numpy())
        near = tree.query(points.double().cpu().numpy(), k=np.arange(1, count + 1))[1]
        rows = candidates[torch.from_numpy(near).to(candidates.device)]
        points = points.to(now.means)
        rotations = rotation_from_quats(now.quats[rows.flatten()]).view(*rows.shape, 3, 3)
        arms = points[:, None] - now.means[rows]
        local = torch.einsum("pkba,pkb->pka", rotations, arms) / now.scales[rows]
        weights = now.opacities[rows] / (1 + local.square().sum(-1))
        assert now.identities is not None
        elected = [
            self._voted(*some, t0)
            for some in zip(
                points.split(_TOGETHER),
                now.identities[rows].split(_TOGETHER),
                weights.split(_TOGETHER),
                strict=True,
            )
        ]
        return torch.cat(elected, dim=1)

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
            Gaussian with the largest contribution. The 32 largest contributions vote on its track; NaN where
            the Gaussian elected by them does not exist.

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
        voters = weights.argsort(descending=True, stable=True)[:_VOTERS]
        return self._voted(point[None], now.identities[rows[voters]][None], weights[voters][None], t0)[:, 0]

    def _check_step(self, t0: int) -> None:
        if not 0 <= t0 < self.num_steps:
            raise ConfigError(f"t0 is {t0}; the scene has the steps 0 to {self.num_steps - 1}")

    def _voted(self, points: Tensor, rows: Tensor, weights: Tensor, t0: int) -> Tensor:
        """Tracks of points: of those that k Gaussians would give, the one nearest to the others.

        Args:
            points: [p, 3] at step ``t0``.
            rows: [p, k] of the Gaussians.
            weights: [p, k] of their tracks in the sum of distances, which is over all steps. Where only one
                of two Gaussians exists, their distance is the longest way of any of the tracks.
            t0: index of the step.

        Returns:
            [t, p, 3] positions at each step; NaN where the Gaussian does not exist.
        """
        each = points.repeat_interleave(rows.shape[1], dim=0)
        tracks = self._carried(each, rows.flatten(), t0).view(-1, *rows.shape, 3)
        exists = tracks.isfinite().all(-1)
        longest = (tracks - points[:, None]).norm(dim=-1).nan_to_num(0.0).amax((0, 2))[:, None, None]
        sums = torch.zeros_like(weights)
        for positions, there in zip(tracks.nan_to_num(0.0), exists, strict=True):
            apart = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")
            if not there.all():
                one, other = there[:, :, None], there[:, None]
                apart = torch.where(one & other, apart, torch.where(one ^ other, longest, 0.0))
            sums += (apart @ weights[:, :, None])[:, :, 0]
        best = sums.argmin(dim=1)
        return tracks[:, torch.arange(len(points), device=best.device), best]

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
