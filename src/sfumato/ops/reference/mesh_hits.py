"""Definition of the intersections of rays with triangles: every ray against every triangle."""

from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.maths.quaternions import normalised
from sfumato.ops.constants import MESH_EDGE


class MeshHits(NamedTuple):
    """The first triangle along each ray.

    Attributes:
        distance: [m] along the ray, scene units; infinite without a hit.
        face: [m] int64; -1 without a hit.
        corners: [m, 2] barycentric weights of the face's second and third corner; 0 without a hit.
    """

    distance: Tensor
    face: Tensor
    corners: Tensor


def mesh_hits(
    vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor
) -> MeshHits:
    """Find the first triangle that each ray hits, from either side.

    Args:
        vertices: [v, 3] corners of the triangles, world frame, scene units.
        faces: [f, 3] int64 rows of ``vertices``.
        origins: [m, 3] of the rays, world frame.
        directions: [m, 3] of any length.
        near, far: [m] distances along each ray between which a hit counts, scene units.

    Returns:
        MeshHits.

    Source: Moeller and Trumbore 1997.
    """
    m = len(origins)
    if not len(faces):
        distance = origins.new_full((m,), torch.inf)
        return MeshHits(distance, faces.new_full((m,), -1), origins.new_zeros(m, 2))
    first, second, third = vertices[faces].unbind(1)
    edge1, edge2 = second - first, third - first
    length = directions.norm(dim=1, keepdim=True)
    unit = normalised(torch.where(length > 0, directions, directions.new_tensor([0.0, 0.0, 1.0])))[:, None]
    # P, Q, T and the determinant of the paper.
    t = origins[:, None] - first
    p = torch.linalg.cross(unit, edge2.expand(m, -1, -1))
    determinant = (p * edge1).sum(-1)
    u = (t * p).sum(-1) / determinant
    q = torch.linalg.cross(t, edge1.expand(m, -1, -1))
    v = (unit * q).sum(-1) / determinant
    tau = (edge2 * q).sum(-1) / determinant
    # Written so that NaN, as from a triangle without area, is not a hit.
    is_hit = (
        (u >= -MESH_EDGE)
        & (v >= -MESH_EDGE)
        & (u + v <= 1 + MESH_EDGE)
        & (tau > near[:, None])
        & (tau < far[:, None])
        & (length > 0)
    )
    distance, face = torch.where(is_hit, tau, torch.inf).min(dim=1)
    found = torch.isfinite(distance)
    rows = torch.arange(m, device=face.device)
    corners = torch.stack([u[rows, face], v[rows, face]], dim=1)
    return MeshHits(
        distance,
        torch.where(found, face, -1),
        torch.where(found[:, None], corners, torch.zeros_like(corners)),
    )
