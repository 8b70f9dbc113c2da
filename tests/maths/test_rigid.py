import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.maths.rigid import best_rotation, centre_of, centres_of, cross_matrix, rigid_from_twist

# Zero, below rounding, within the series, both sides of its end, about pi, and more than a full turn.
ANGLES = (0.0, 1e-12, 1e-3, 0.4999, 0.5001, 3.14159, 9.0)


def twist_of(angle):
    axis = torch.tensor([0.48, -0.6, 0.64], dtype=torch.float64)
    return torch.cat([angle * axis, torch.tensor([0.3, -2.0, 1.1], dtype=torch.float64)])


def definition(twist):
    """The exponential of the 4x4 matrix of a twist, by torch's general algorithm."""
    matrix = torch.zeros(4, 4, dtype=twist.dtype)
    matrix[:3, :3], matrix[:3, 3] = cross_matrix(twist[:3]), twist[3:]
    return torch.matrix_exp(matrix)


def test_a_known_screw():
    """A quarter turn about z while the origin moves along a circle and up."""
    quarter = torch.pi / 2
    found = rigid_from_twist(torch.tensor([0, 0, quarter, quarter, 0, 3.0], dtype=torch.float64))
    expected = torch.tensor([[0, -1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 3], [0, 0, 0, 1.0]]).double()
    torch.testing.assert_close(found, expected)


def test_zero_is_the_identity():
    assert torch.equal(rigid_from_twist(torch.zeros(2, 6)), torch.eye(4).expand(2, 4, 4))


@pytest.mark.parametrize("angle", ANGLES)
def test_it_is_the_exponential_of_the_matrix(angle):
    twist = twist_of(angle)
    torch.testing.assert_close(rigid_from_twist(twist), definition(twist), rtol=0, atol=1e-12)


@pytest.mark.parametrize("angle", ANGLES)
def test_gradients_are_those_of_finite_differences(angle):
    assert torch.autograd.gradcheck(rigid_from_twist, twist_of(angle).requires_grad_(), atol=1e-8)


@given(st.lists(st.floats(-4, 4), min_size=6, max_size=6))
def test_transforms_are_rigid_and_the_opposite_twist_is_the_inverse(numbers):
    twist = torch.tensor(numbers, dtype=torch.float64)
    found, back = rigid_from_twist(torch.stack([twist, -twist]))
    torch.testing.assert_close(found @ back, torch.eye(4).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.linalg.det(found[:3, :3]), torch.ones(()).double())
    torch.testing.assert_close(found[:3, :3] @ found[:3, :3].T, torch.eye(3).double(), rtol=0, atol=1e-12)


def test_small_rotations_are_accurate_in_float32():
    twist = twist_of(1e-4)
    torch.testing.assert_close(rigid_from_twist(twist.float()), definition(twist).float(), rtol=0, atol=2e-6)


def test_cross_matrix_is_the_cross_product():
    first, second = torch.randn(2, 5, 3, dtype=torch.float64)
    product = (cross_matrix(first) @ second[..., None])[..., 0]
    torch.testing.assert_close(product, torch.linalg.cross(first, second))


def test_the_centre_of_a_camera_is_mapped_to_the_origin():
    poses = rigid_from_twist(torch.tensor([[0.3, -1.2, 0.7, 2.0, -3.0, 5.0], [0, 0, 0, 1, 2, 3]]).double())
    centres = torch.stack([centre_of(pose) for pose in poses])
    torch.testing.assert_close(centres[1], torch.tensor([-1.0, -2.0, -3.0]).double())
    mapped = (poses[:, :3, :3] @ centres[..., None])[..., 0] + poses[:, :3, 3]
    torch.testing.assert_close(mapped, torch.zeros(2, 3).double())
    torch.testing.assert_close(torch.from_numpy(centres_of(poses.numpy())), centres)


def test_the_best_rotation_recovers_a_known_one():
    points = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    points -= points.mean(0)
    turn = rigid_from_twist(twist_of(2.0))[:3, :3]
    torch.testing.assert_close(best_rotation(points.T @ (points @ turn.T)), turn)


def test_the_best_rotation_of_mirrored_points_is_no_reflection():
    """Of R = diag(1, 1, 1), diag(1, -1, -1), ..., the trace of R diag(9, 4, -1) is largest for the first."""
    covariance = torch.diag(torch.tensor([9.0, 4.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(best_rotation(covariance), torch.eye(3).double())
