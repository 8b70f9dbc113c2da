"""Points spread evenly over triangle meshes, with their normals and colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.render.meshes import corner_normals, face_normals, read_coloured_mesh
from sfumato.splatting.cloud_files.cloud_file import CloudFile
from sfumato.splatting.measured import MeasuredCloud

MESHES = (".obj", ".stl", ".off")
_POINTS = 40_000
# The generalised golden ratio: multiples of these shares are evenly spread in the unit square.
_SHARES = (0.7548776662466927, 0.5698402909980532)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is a triangle mesh, by its suffix."""
    return path.suffix.lower() in MESHES


def open_points(path: Path) -> CloudFile:
    """Points on the triangles of a file, in its own frame: see ``points_on``.

    Raises:
        FormatError: it is not a mesh, or has no area.
        ConfigError: trimesh is not installed.
    """
    return CloudFile("mesh", _POINTS, lambda: (points_on(path, count) for count in (_POINTS,)))


def points_on(path: Path, count: int) -> MeasuredCloud:
    """Points spread evenly over the triangles of a file.

    Args:
        path: a mesh that trimesh reads.
        count: number of points.

    Returns:
        The points with smooth normals and with the colours of vertices or faces; grey where there are none.

    Raises:
        FormatError: it is not a mesh, or has no area.
        ConfigError: trimesh is not installed.

    Source: Roberts 2018, for the points in a triangle.
    """
    vertices, faces, colours = read_coloured_mesh(path)
    area = face_normals(vertices, faces).norm(dim=1).cumsum(0)
    if not area[-1] > 0:
        raise FormatError(f"{path} has no area; give a mesh of triangles")
    number = torch.arange(count, dtype=torch.float64)
    face = torch.searchsorted(area, (number + 0.5) / count * area[-1]).clamp(max=len(faces) - 1)
    u, v = ((0.5 + number * share) % 1 for share in _SHARES)
    outside = u + v > 1
    u, v = torch.where(outside, 1 - u, u), torch.where(outside, 1 - v, v)
    weights = torch.stack([1 - u - v, u, v], dim=1)[:, :, None]
    xyz, normals, rgb = (
        (weights * corners[face]).sum(1)
        for corners in (vertices[faces], corner_normals(vertices, faces), colours)
    )
    return MeasuredCloud(
        xyz.numpy(),
        rgb.numpy().astype(np.float32),
        normals=normals.numpy().astype(np.float32),
        colour_range=1.0,
    )
