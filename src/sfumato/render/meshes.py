"""Triangle meshes: bounded file reading, and normals."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import FormatError
from sfumato.extras import extra_module

_MAX_BYTES, _MAX_FACES, _MAX_EXTENT = 512 << 20, 4_000_000, 1e9
# Least cosine between the normals of a vertex and a face at a smooth corner; a box keeps its edges.
_SMOOTH_COSINE = 0.766
# Colour of a mesh that has none, sRGB-encoded.
_GREY = 0.7


def read_mesh(
    path: Path, *, scale: float = 1.0, at: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> tuple[Tensor, Tensor]:
    """Read the triangles of a file that trimesh reads: .obj, .ply, .stl, .off, .glb and others.

    Nothing beside the file is opened: materials and textures are not looked for.

    Args:
        path: the file.
        scale: multiplies its coordinates.
        at: is added to them then, scene units.

    Returns:
        vertices [v, 3] float64, coincident ones merged; faces [f, 3] int64.

    Raises:
        ConfigError: trimesh is not installed.
        FormatError: the file is missing, too large, not a mesh, or has invalid faces or coordinates.
    """
    _, vertices, faces = _loaded(path)
    with np.errstate(over="ignore", invalid="ignore"):
        vertices = vertices * scale + np.asarray(at)
    _check_extent(path, vertices[faces])
    return _merged(vertices[faces])


def read_coloured_mesh(path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Read the triangles of a file as ``read_mesh`` does, with the colours of its vertices or faces.

    Returns:
        vertices [v, 3] float64, coincident ones merged; faces [f, 3] int64; colours [f, 3, 3] float32 of the
        corners, sRGB-encoded in [0, 1]: grey where the file has none.

    Raises:
        ConfigError, FormatError: as in ``read_mesh``.
    """
    mesh, vertices, faces = _loaded(path)
    _check_extent(path, vertices[faces])
    colours = np.full((len(faces), 3, 3), _GREY, np.float32)
    kind = mesh.visual.kind
    if kind == "vertex":
        colours[:] = np.asarray(mesh.visual.vertex_colors, np.float32)[faces, :3] / 255
    elif kind == "face":
        colours[:] = np.asarray(mesh.visual.face_colors, np.float32)[:, None, :3] / 255
    return *_merged(vertices[faces]), torch.from_numpy(colours)


def _loaded(path: Path) -> tuple[Any, np.ndarray, np.ndarray]:
    """The mesh of a file as trimesh reads it, its vertices [v, 3] float64 and its faces [f, 3] int64."""
    trimesh: Any = extra_module("trimesh", "mesh", path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FormatError(f"{path} has over {_MAX_BYTES >> 20} MiB; give a smaller mesh")
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from None
    try:
        # Read from memory, so that files to which it refers are not opened.
        mesh: Any = trimesh.load(
            io.BytesIO(content), file_type=path.suffix[1:].lower(), force="mesh", process=False
        )
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    except Exception as error:  # The readers of a dozen formats raise different errors.
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FormatError(f"{path} is not a mesh that trimesh reads: {reason}") from None
    if not len(faces) <= _MAX_FACES:
        raise FormatError(f"{path} has {len(faces):,} triangles; at most {_MAX_FACES:,} can be inserted")
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.shape[1:] != (3,) or not len(faces):
        raise FormatError(f"{path} holds no triangles")
    if not 0 <= faces.min() <= faces.max() < len(vertices):
        raise FormatError(f"{path}: faces name vertices that are not there")
    return mesh, vertices, faces


def _merged(corners: np.ndarray) -> tuple[Tensor, Tensor]:
    """Vertices [v, 3] and faces [f, 3] of corners [f, 3, 3]; coincident ones become one vertex."""
    found, places = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return torch.from_numpy(found), torch.from_numpy(places.reshape(-1, 3).astype(np.int64))


def _check_extent(path: Path, corners: np.ndarray) -> None:
    if not np.abs(corners).max() <= _MAX_EXTENT:
        raise FormatError(f"{path} holds coordinates that are not finite, or above {_MAX_EXTENT:g}")


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """[f, 3] normals whose length is twice the area, on the side where faces appear counter-clockwise."""
    first, second, third = vertices[faces].unbind(1)
    return torch.linalg.cross(second - first, third - first)


def corner_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals of every face at its corners: those of the vertices, but at edges those of the face.

    Args:
        vertices: [v, 3].
        faces: [f, 3].

    Returns:
        [f, 3, 3]. A vertex's normal is the mean of its faces' normals, weighted by their angles there; a face
        whose normal differs from it by more than 40 degrees keeps its own.
    """
    flat = torch.nn.functional.normalize(face_normals(vertices, faces), dim=-1, eps=1e-300)
    summed = torch.zeros_like(vertices)
    points = vertices[faces]
    for corner in range(3):
        sides = [points[:, (corner + other) % 3] - points[:, corner] for other in (1, 2)]
        across = torch.linalg.cross(*sides).norm(dim=1)
        angle = torch.atan2(across, (sides[0] * sides[1]).sum(1))
        summed.index_add_(0, faces[:, corner], flat * angle[:, None])
    # Lengths of zero stay zero: no ray hits such faces.
    smooth = torch.nn.functional.normalize(summed, dim=-1, eps=1e-300)
    smooth, flat = smooth[faces], flat[:, None].expand(-1, 3, -1)
    turned = (smooth * flat).sum(-1, keepdim=True) < _SMOOTH_COSINE
    return torch.where(turned, flat, smooth)
