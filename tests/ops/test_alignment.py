"""Normal equations for the alignment of rigid bodies to a photograph."""

import math

import pytest
import torch

from sfumato import ops
from sfumato.errors import ShapeError
from sfumato.maths.quaternions import rotation_from_quats
from sfumato.ops import reference
from sfumato.ops.constants import ALIGNMENT_TOLERANCE

pytestmark = pytest.mark.kernels

POINTS, BODIES, SIZE_PX = 60, 3, (24, 18)
UPPER = torch.triu_indices(6, 6)


def inputs(seed=0, points=POINTS, bodies=BODIES):
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    image = torch.rand(SIZE_PX[1], SIZE_PX[0], 3, generator=random, dtype=torch.float64)
    first = torch.tensor(
        [0, *sorted(torch.randint(points + 1, (bodies - 1,), generator=random).tolist()), points]
    )
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = rotation_from_quats(torch.tensor([[0.98, 0.1, -0.15, 0.05]], dtype=torch.float64))[0]
    pose[:3, 3] = torch.tensor([0.1, -0.2, 4.0])
    intrinsics = torch.tensor([[30.0, 0, 12.3], [0, 28.0, 8.6], [0, 0, 1]], dtype=torch.float64)
    return {
        "offsets": 0.5 * normal(points, 3),
        "colours": torch.rand(points, 3, generator=random, dtype=torch.float64),
        "weights": torch.rand(points, generator=random, dtype=torch.float64),
        "first": first,
        "positions": 0.5 * normal(bodies, 3),
        "rotations": rotation_from_quats(normal(bodies, 4)),
        "image": image,
        "camera_from_world": pose,
        "intrinsics": intrinsics,
    }


def sampled(image, u, v):
    """Colour of an image at a position, bilinear between four pixels."""
    column, row = math.floor(u - 0.5), math.floor(v - 0.5)
    a, b = u - 0.5 - column, v - 0.5 - row
    upper = (1 - a) * image[row, column] + a * image[row, column + 1]
    return (1 - b) * upper + b * ((1 - a) * image[row + 1, column] + a * image[row + 1, column + 1])


def misfit(given, point, body, motion):
    """Colour residual [3] after a translation and a small rotation, or None outside the picture."""
    angle = motion[3:].norm()
    axis = motion[3:] / angle.clamp_min(1e-300)
    half = torch.cat([torch.cos(angle / 2)[None], torch.sin(angle / 2) * axis])
    offset = rotation_from_quats(half[None])[0] @ given["rotations"][body] @ given["offsets"][point]
    pose = given["camera_from_world"]
    x, y, z = pose[:3, :3] @ (given["positions"][body] + motion[:3] + offset) + pose[:3, 3]
    u, v, _ = given["intrinsics"] @ torch.stack([x / z, y / z, torch.ones_like(z)])
    if not (z > 0 and 0.5 < u < SIZE_PX[0] - 0.5 and 0.5 < v < SIZE_PX[1] - 0.5):
        return None
    return sampled(given["image"], float(u), float(v)) - given["colours"][point]


def test_the_definition_has_the_derivatives_of_finite_differences():
    given, step = inputs(), 1e-6
    wanted = torch.zeros(BODIES, 27, dtype=torch.float64)
    for body in range(BODIES):
        for point in range(int(given["first"][body]), int(given["first"][body + 1])):
            here = misfit(given, point, body, torch.zeros(6, dtype=torch.float64))
            if here is None:
                continue
            columns = []
            for unknown in torch.eye(6, dtype=torch.float64):
                ahead, behind = (misfit(given, point, body, sign * step * unknown) for sign in (1, -1))
                columns.append((ahead - behind) / (2 * step))
            jacobian = torch.stack(columns, 1)
            weight = given["weights"][point] / (1 + here.square().sum() / ALIGNMENT_TOLERANCE**2)
            squares = weight * jacobian.T @ jacobian
            wanted[body, :21] += squares[UPPER[0], UPPER[1]]
            wanted[body, 21:] += weight * jacobian.T @ here
    assert (wanted != 0).all()
    torch.testing.assert_close(reference.alignment(**given), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_agrees_with_the_definition(seed):
    given = inputs(seed, points=500, bodies=7)
    single = {name: tensor if name == "first" else tensor.float() for name, tensor in given.items()}
    found, wanted = ops.alignment(**single), reference.alignment(**given)
    # Rounding errors of positions between pixels cause relative errors of the derivatives.
    assert (found.double() - wanted).norm() / wanted.norm() < 1e-4


def test_invisible_points_are_ignored():
    for dtype in (torch.float32, torch.float64):
        given = {k: v if k == "first" else v.to(dtype) for k, v in inputs().items()}
        given["positions"] = given["positions"] - torch.tensor([0.0, 0.0, 9.0], dtype=dtype)
        assert (ops.alignment(**given) == 0).all()


def test_a_picture_of_one_row_gives_zeros():
    for dtype in (torch.float32, torch.float64):
        given = {k: v if k == "first" else v.to(dtype) for k, v in inputs().items()}
        assert (ops.alignment(**given | {"image": given["image"][:1]}) == 0).all()


def test_solving_the_equations_finds_a_shift():
    given = inputs(points=400, bodies=1)
    rows, columns = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float64) for n in SIZE_PX[::-1]), indexing="ij"
    )
    waves = [torch.sin(0.4 * columns + k) * torch.cos(0.3 * rows - k) for k in range(3)]
    given["image"] = 0.5 + 0.3 * torch.stack(waves, 2)
    shift = torch.tensor([0.05, -0.04, 0.0], dtype=torch.float64)
    for point in range(400):
        colour = misfit(
            {**given, "colours": torch.zeros_like(given["colours"])}, point, 0, torch.cat([shift, 0 * shift])
        )
        given["colours"][point] = 0 if colour is None else colour
        given["weights"][point] *= colour is not None
    for _ in range(8):
        sums = reference.alignment(**given)[0]
        squares = torch.zeros(6, 6, dtype=torch.float64)
        squares[UPPER[0], UPPER[1]] = squares[UPPER[1], UPPER[0]] = sums[:21]
        move = torch.linalg.solve(squares[:3, :3], -sums[21:24])
        given["positions"] = given["positions"] + move
    total = given["positions"][0] - inputs(points=400, bodies=1)["positions"][0]
    torch.testing.assert_close(total, shift, atol=5e-3, rtol=0)


def test_decreasing_row_starts_are_refused():
    given = inputs()
    for first in (
        torch.tensor([0, 40, 20, POINTS]),
        torch.tensor([0, 10, 20, 30]),
        torch.tensor([0, POINTS]),
    ):
        with pytest.raises(ShapeError):
            ops.alignment(**given | {"first": first})
