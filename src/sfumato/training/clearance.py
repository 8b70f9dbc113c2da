"""Clearance: removal of Gaussians closer to a camera than the points suggest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.capture.dataset import Capture

# The nearest hundredth of the points may be mistakes of their triangulation.
_QUANTILE = 0.01
_FAR = 1e30
# Pairs of a point and a camera whose distances are held at once.
_PAIRS = 1 << 24


@dataclass(frozen=True)
class Clearance:
    """The training cameras, and a ball around each in which nothing belongs.

    A Gaussian right before one lens is seen by no other: it explains that photograph and spoils
    every new view.

    Attributes:
        cameras: tree of the camera centres, world frame.
        radius: of the balls, scene units; 0: there are none.
    """

    cameras: cKDTree
    radius: float = 0.0

    @staticmethod
    def of(capture: Capture, share: float) -> Clearance:
        """Balls of ``share`` times the distance of the points nearest to any camera.

        A capture whose points are random knows nothing of distances and gets none.
        """
        cameras = cKDTree(np.stack([view.camera.centre_world.numpy() for view in capture.train_views]))
        if share == 0 or capture.points_are_random:
            return Clearance(cameras)
        distances, _ = cameras.query(capture.points.xyz)
        return Clearance(cameras, share * float(np.quantile(distances, _QUANTILE)))

    def distances(self, means: Tensor) -> Tensor:
        """[n] distance of world points [n, 3] to the nearest camera, scene units, float64."""
        # A run that diverged is told so when it is saved, not here.
        finite = means.detach().nan_to_num(nan=_FAR, posinf=_FAR, neginf=-_FAR)
        if finite.device.type == "cpu":
            return torch.from_numpy(self.cameras.query(finite.numpy())[0])
        return distances_to_nearest(finite, torch.from_numpy(self.cameras.data).to(finite.device))

    def holds(self, means: Tensor) -> Tensor:
        """[n] bool: which of the world points [n, 3] lie in a ball."""
        return self.distances(means) < self.radius


def distances_to_nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Distance of each point to the nearest of some centres, all pairs compared, without a tree.

    Args:
        points: [n, 3].
        centres: [m, 3] float64, at least one.

    Returns:
        [n] float64, in the unit of both.
    """
    few = points.double().split(max(_PAIRS // len(centres), 1))
    # The quicker form by a matrix product loses the digits of short distances.
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cat([torch.cdist(part, centres, compute_mode=mode).amin(1) for part in few])
