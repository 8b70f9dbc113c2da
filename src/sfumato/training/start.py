"""Initialisation of Gaussians from points."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from sfumato.capture.points import PointCloud
from sfumato.maths.sh import SH_C0
from sfumato.scene.gaussians import Gaussians
from sfumato.training.clearance import Clearance

START_OPACITY = 0.1
_NEIGHBOURS = 3
# Limits of initial sizes, in units of the distance of the nearest camera.
_LEAST_SIZE, _MOST_SIZE = 1e-6, 0.2


def gaussians_from_points(
    points: PointCloud, *, sh_degree: int = 3, clearance: Clearance | None = None
) -> Gaussians:
    """Isotropic Gaussians at points, with the distance to their nearest neighbours as scale.

    Args:
        points: n points, world frame, with colours.
        sh_degree: degree of the spherical harmonics that are stored, 0 to 3.
        clearance: the cameras, whose distances bound the sizes; None: no bounds.

    Returns:
        n Gaussians of opacity 0.1, float32.

    Source: Kerbl et al. 2023, section 5.1.
    """
    xyz = points.xyz.astype(np.float64)
    count = min(_NEIGHBOURS + 1, len(xyz))
    distances, _ = cKDTree(xyz).query(xyz, k=count, workers=-1)
    away = clearance.distances(torch.from_numpy(xyz)).numpy() if clearance else np.ones(len(xyz))
    spacing = np.sqrt((distances.reshape(len(xyz), count)[:, 1:] ** 2).mean(axis=1)) if count > 1 else away
    if clearance:
        spacing = np.clip(spacing, _LEAST_SIZE * away, _MOST_SIZE * away)
    # Coincident points would have Gaussians of zero size.
    spacing = np.maximum(spacing, np.finfo(np.float32).tiny)
    sh = np.zeros((len(xyz), (sh_degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (points.rgb.astype(np.float32) / 255 - 0.5) / SH_C0
    quats = np.zeros((len(xyz), 4), np.float32)
    quats[:, 0] = 1.0
    return Gaussians(
        torch.from_numpy(points.xyz.astype(np.float32)),
        torch.from_numpy(np.log(spacing).astype(np.float32)[:, None].repeat(3, axis=1)),
        torch.from_numpy(quats),
        torch.full((len(xyz),), float(np.log(START_OPACITY / (1 - START_OPACITY)))),
        torch.from_numpy(sh),
    )
