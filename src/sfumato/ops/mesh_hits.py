"""Intersections of rays with triangles."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.checks import check_shapes
from sfumato.errors import ShapeError
from sfumato.ops.backend import implementation, uses_definition
from sfumato.ops.operation import operation
from sfumato.ops.reference.mesh_hits import MeshHits
from sfumato.ops.reference.mesh_hits import mesh_hits as definition


@operation("sfumato::mesh_hits")
def _mesh_hits(
    vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return implementation("mesh_hits", vertices).forward(vertices, faces, origins, directions, near, far)


@_mesh_hits.register_fake
def _(vertices, faces, origins, directions, near, far):
    m = origins.shape[0]
    return vertices.new_empty(m), faces.new_empty(m), vertices.new_empty(m, 2)


@torch.no_grad()
def mesh_hits(
    vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor
) -> MeshHits:
    """Find the first triangle that each ray hits, from either side.

    Args:
        vertices: [v, 3] world frame, scene units.
        faces: [f, 3] int64 rows of ``vertices``.
        origins: [m, 3] of the rays, world frame.
        directions: [m, 3] of any length; a ray of length zero hits nothing.
        near, far: [m] distances along the ray between which a hit counts, both excluded, scene units.

    Returns:
        MeshHits; any one of several triangles at the same distance.

    Raises:
        ShapeError: a tensor has another shape, dtype or device, or a face has an invalid vertex.

    Gradients: none.

    Source: Moeller and Trumbore 1997.
    """
    check_shapes(
        like=vertices,
        vertices=(vertices, "v 3"),
        origins=(origins, "m 3"),
        directions=(directions, "m 3"),
        near=(near, "m"),
        far=(far, "m"),
    )
    check_shapes(faces=(faces, "f 3"))
    if faces.dtype != torch.int64:
        raise ShapeError(f"faces are {faces.dtype}, expected torch.int64")
    if faces.numel() and not 0 <= int(faces.min()) <= int(faces.max()) < len(vertices):
        raise ShapeError(f"faces name vertices outside 0 to {len(vertices) - 1}")
    if uses_definition(vertices):
        return definition(vertices, faces, origins, directions, near, far)
    return MeshHits(*_mesh_hits(vertices, faces, origins, directions, near, far))
