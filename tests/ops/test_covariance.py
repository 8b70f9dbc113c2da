import torch

from sfumato.ops.reference import covariance
from support.op_scenes import assert_finite_differences, gaussians


def test_known_value():
    # A rotation by 90 degrees about z maps the local x axis to the world's y axis.
    half = 0.5**0.5
    quats = torch.tensor([[half, 0.0, 0.0, half]], dtype=torch.float64) * 3
    packed = covariance(quats, torch.tensor([[2.0, 0.5, 1.0]], dtype=torch.float64))
    expected = torch.tensor([[0.25, 0.0, 0.0, 4.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(packed, expected)


def test_gradients():
    scene = gaussians(4)
    inputs = {"quats": scene["quats"], "scales": scene["scales"]}
    assert_finite_differences(covariance, inputs)
    assert torch.autograd.gradcheck(covariance, [value.requires_grad_() for value in inputs.values()])


def test_no_gaussians():
    assert covariance(torch.zeros(0, 4), torch.zeros(0, 3)).shape == (0, 6)


def test_a_zero_quaternion_does_not_affect_other_rows():
    quats = torch.tensor([[0.0, 0, 0, 0], [1.0, 2, 3, 4]], requires_grad=True)
    packed = covariance(quats, torch.tensor([[1.0, 2, 3], [1.0, 2, 3]]))
    assert packed[0].isnan().any()
    packed.square().sum().backward()
    assert torch.isfinite(packed[1]).all()
    assert torch.isfinite(quats.grad[1]).all()
