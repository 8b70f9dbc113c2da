"""Intersection of rays with triangles: the kernel's tree against brute force."""

import pytest
import torch

from sfumato.errors import ShapeError
from sfumato.ops.mesh_hits import mesh_hits

pytestmark = pytest.mark.kernels


def soup(n, seed=0):
    """n small triangles in the unit cube, and rays from outside."""
    random = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=random, dtype=torch.float64)

    vertices = (uniform(n, 1, 3) + 0.3 * (uniform(n, 3, 3) - 0.5)).reshape(-1, 3)
    faces = torch.arange(3 * n).reshape(n, 3)
    origins, directions = 4 * uniform(300, 3) - 1.5, uniform(300, 3)
    return vertices, faces, origins, directions - origins


@pytest.mark.parametrize("n", [1, 3, 5, 200])
def test_the_tree_agrees_with_brute_force(n):
    vertices, faces, origins, directions = soup(n)
    directions[0], directions[1] = 0, torch.tensor([0.0, 0.0, 1.0])
    near, far = torch.full((2, 300), 0.1, dtype=torch.float64)
    far = far + 3 * torch.linspace(0, 1, 300, dtype=torch.float64)
    exact = mesh_hits(vertices, faces, origins, directions, near, far)
    rough = mesh_hits(vertices.float(), faces, origins.float(), directions.float(), near.float(), far.float())
    # Rays that graze an edge may fall on either side of it.
    assert (exact.face == rough.face).float().mean() > 0.99
    same = (exact.face == rough.face) & (exact.face >= 0)
    assert same.any()
    torch.testing.assert_close(rough.distance[same].double(), exact.distance[same], rtol=1e-4, atol=1e-4)
    assert exact.face[0] == rough.face[0] == -1
    assert n < 200 or (exact.face >= 0).float().mean() > 0.3


def test_barycentric_coordinates_give_the_hit_point():
    vertices, faces, origins, directions = soup(50)
    ends = torch.zeros(2, 300, dtype=torch.float64)
    found = mesh_hits(vertices, faces, origins, directions, ends[0], ends[1] + 10)
    hit = found.face >= 0
    points = origins + torch.nn.functional.normalize(directions, dim=1) * found.distance[:, None]
    u, v = found.corners[hit].T[..., None]
    a, b, c = vertices[faces[found.face[hit]]].unbind(1)
    torch.testing.assert_close((1 - u - v) * a + u * b + v * c, points[hit])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_hits_between_near_and_far_count(dtype):
    """Two triangles across the z axis, at 1 and 2, seen along a direction of length 2."""
    corners = torch.tensor([[-1.0, -1, 0], [2, -1, 0], [-1, 2, 0]], dtype=dtype)
    vertices = torch.cat([corners + torch.tensor([0.0, 0, z], dtype=dtype) for z in (1, 2)])
    near, far = torch.tensor([[0, 9], [0, 1.5], [1.5, 9], [0, 0.9], [1.1, 1.9], [2.1, 9]], dtype=dtype).T
    origins = torch.zeros(6, 3, dtype=dtype)
    along = torch.tensor([0.0, 0, 2], dtype=dtype).expand(6, 3)
    found = mesh_hits(vertices, torch.arange(6).reshape(2, 3), origins, along, near, far)
    assert found.face.tolist() == [0, 0, 1, -1, -1, -1]
    torch.testing.assert_close(found.distance[:3], torch.tensor([1.0, 1.0, 2.0], dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_missing_and_degenerate_triangles_are_not_hit(dtype):
    _, _, origins, directions = (t.to(dtype) if t.is_floating_point() else t for t in soup(1))
    ends = torch.zeros(300, dtype=dtype)
    for faces in (torch.zeros(0, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64)):
        found = mesh_hits(torch.ones(1, 3, dtype=dtype), faces, origins, directions, ends, ends + 9)
        assert (found.face == -1).all() and torch.isinf(found.distance).all() and not found.corners.any()


def test_wrong_faces_are_refused():
    vertices, faces, origins, directions = soup(2)
    ends = torch.zeros(300, dtype=torch.float64)
    for wrong in (faces + 1, faces - 1, faces.int()):
        with pytest.raises(ShapeError, match="faces"):
            mesh_hits(vertices, wrong, origins, directions, ends, ends)
