"""Colours of a mesh's vertices, from the views that see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree

from sfumato.meshing.view_depths import ViewDepth
from sfumato.render.meshes import face_normals

# A vertex is visible in a view if it lies at most this many voxels behind or before the depth of the view.
_NEAR = 3.0


def vertex_colours(
    vertices: np.ndarray,
    faces: np.ndarray,
    views: Sequence[ViewDepth],
    voxel: float,
    report: Callable[[int, int], None],
) -> np.ndarray:
    """Mean colours of vertices in the views that see them, weighted by the squared cosine to the normal.

    Args:
        vertices: [v, 3] world frame.
        faces: [f, 3] rows of ``vertices``.
        views: of the scene.
        voxel: of the fusion, scene units.
        report: called with the number of views done, and of all views.

    Returns:
        [v, 3] uint8 sRGB; a vertex that no view sees has the colour of the nearest one that is seen.
    """
    points = torch.from_numpy(vertices)
    flat = face_normals(points, torch.from_numpy(faces))
    normals = torch.zeros_like(points)
    for corner in range(3):
        normals.index_add_(0, torch.from_numpy(faces[:, corner]), flat)
    normals = torch.nn.functional.normalize(normals, dim=1, eps=1e-300)
    total, weight = torch.zeros_like(points), points.new_zeros(len(points))
    for number, view in enumerate(views):
        camera = view.camera
        pose = camera.camera_from_world.double()
        x, y, z = (points @ pose[:3, :3].T + pose[:3, 3]).unbind(1)
        at, within = view.pixels_of(x, y, z)
        seen = within & ((view.depth.flatten()[at] - z).abs() < _NEAR * voxel)
        towards = torch.nn.functional.normalize(camera.centre_world.double() - points, dim=1)
        share = (towards * normals).sum(1).clamp_min(0.0).square() * seen
        total += share[:, None] * view.image.reshape(-1, 3)[at]
        weight += share
        report(number + 1, len(views))
    known = (weight > 0).numpy()
    colours = (total / weight.clamp_min(1e-12)[:, None]).numpy()
    if known.any() and not known.all():
        nearest = cKDTree(vertices[known]).query(vertices[~known], workers=-1)[1]
        colours[~known] = colours[known][nearest]
    return np.rint(colours.clip(0, 1) * 255).astype(np.uint8)
