import torch

from sfumato.maths.quaternions import (
    normalised,
    quat_from_rotation,
    quat_product,
    rotation_from_quats,
)


def test_known_rotations():
    half = 0.5**0.5
    quats = torch.tensor([[1.0, 0, 0, 0], [half, 0, 0, half], [2 * half, 2 * half, 0, 0]])
    turned = rotation_from_quats(quats)
    torch.testing.assert_close(turned[0], torch.eye(3))
    torch.testing.assert_close(turned[1] @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))
    torch.testing.assert_close(turned[2] @ torch.tensor([0.0, 1, 0]), torch.tensor([0.0, 0, 1]))


def test_rotations_are_orthonormal_and_right_handed():
    rotations = rotation_from_quats(torch.randn(50, 4, dtype=torch.float64) * 7)
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).double().expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(50).double())


def test_length_and_sign_do_not_matter():
    quats = torch.randn(9, 4, dtype=torch.float64)
    torch.testing.assert_close(rotation_from_quats(quats), rotation_from_quats(-3.5 * quats))


def test_gradient_of_normalisation_is_the_projection_over_length():
    vector = torch.tensor([[3.0, -1.0, 2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(normalised, vector)[0, :, 0]
    unit = vector[0].detach() / vector[0].detach().norm()
    expected = (torch.eye(4) - unit[:, None] * unit) / vector[0].detach().norm()
    torch.testing.assert_close(jacobian, expected)


def test_zero_quaternion_is_no_rotation_and_has_no_gradient():
    quats = torch.tensor([[0.0, 0, 0, 0], [1.0, 2, 3, 4]], requires_grad=True)
    rotations = rotation_from_quats(quats)
    rotations.sum().backward()
    assert rotations[0].isnan().any()
    assert torch.isfinite(rotations[1]).all()
    assert not quats.grad[0].any()
    assert quats.grad[1].any()


def test_invalid_quaternions_do_not_affect_other_rows():
    quats = torch.tensor([[torch.nan, 0, 0, 0], [torch.inf, 1, 0, 0], [1.0, 2, 3, 4]], requires_grad=True)
    rotations = rotation_from_quats(quats)
    rotations[2].square().sum().backward()
    assert rotations[:2].isnan().any(-1).any(-1).all()
    assert torch.isfinite(quats.grad[2]).all()


def test_a_product_rotates_by_its_second_factor_first():
    first, second = torch.randn(4, dtype=torch.float64), torch.randn(9, 4, dtype=torch.float64)
    expected = rotation_from_quats(first[None]) @ rotation_from_quats(second)
    torch.testing.assert_close(rotation_from_quats(quat_product(first, second)), expected)


def test_quaternions_are_recovered_from_rotations():
    for quat in torch.cat([torch.randn(20, 4), torch.eye(4), torch.tensor([[1.0, 1, 0, 0]])]).double():
        quat = normalised(quat)
        found = quat_from_rotation(rotation_from_quats(quat[None])[0])
        torch.testing.assert_close(found * (found @ quat).sign(), quat)
        assert found[found.abs().argmax()] > 0
