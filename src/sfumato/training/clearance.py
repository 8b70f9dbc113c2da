"""Clearance: removal of Gaussians closer to a camera than the points suggest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.capture.dataset import Capture

# The nearest hundredth of the points may be triangulation errors.
_QUANTILE = 0.01
_FAR = 1e30
# Number of point-camera distances in memory at a time.
_PAIRS = 1 << 24


@dataclass(frozen=True)
class Clearance:
    """The training cameras, and a ball around each that is kept empty.

    A Gaussian close in front of one camera is seen by no other: it overfits that photograph and occludes
    novel views.

    Attributes:
        cameras: tree of the camera centres, world frame.
        radius: of the balls, scene units; 0: there are none.
    """

    cameras: cKDTree
    radius: float = 0.0

    @staticmethod
    def of(capture: Capture, share: float) -> Clearance:
        """Balls of ``share`` times the distance of the nearest points from any camera.

        A capture with random points has none, as their distances are meaningless.
        """
        cameras = cKDTree(np.stack([view.camera.centre_world.numpy() for view in capture.train_views]))
        if share == 0 or capture.points_are_random:
            return Clearance(cameras)
        distances, _ = cameras.query(capture.points.xyz)
        return Clearance(cameras, share * float(np.quantile(distances, _QUANTILE)))

    def distances(self, means: Tensor) -> Tensor:
        """[n] distance of world points [n, 3] to the nearest camera, scene units, float64."""
        # Divergence is reported when the run is saved, not here.
        finite = means.detach().nan_to_num(nan=_FAR, posinf=_FAR, neginf=-_FAR)
        if finite.device.type == "cpu":
            return torch.from_numpy(self.cameras.query(finite.numpy())[0])
        return distances_to_nearest(finite, torch.from_numpy(self.cameras.data).to(finite.device))

    def holds(self, means: Tensor) -> Tensor:
        """[n] bool: whether world points [n, 3] lie in a ball."""
        return self.distances(means) < self.radius


def distances_to_nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Distance of each point to its nearest centre, by brute force, on any device.

    Args:
        points: [n, 3].
        centres: [m, 3] float64, at least one.

    Returns:
        [n] float64, in the unit of both.
    """
    chunks = points.double().split(max(_PAIRS // len(centres), 1))
    # The faster form by a matrix product loses precision for short distances.
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cat([torch.cdist(part, centres, compute_mode=mode).amin(1) for part in chunks])
