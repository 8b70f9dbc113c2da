import pytest
import torch

from sfumato.ops.reference import colour
from support.op_scenes import assert_finite_differences, gaussians

CENTRE = torch.tensor([0.2, -0.4, -1.0], dtype=torch.float64)


def test_known_value_of_degree_zero():
    sh = torch.tensor([[[1.0, 0.0, -1.0]]])
    values = colour(sh, torch.randn(1, 3), torch.zeros(3), 0)
    torch.testing.assert_close(values, torch.tensor([[0.5 + 0.2820948, 0.5, 0.5 - 0.2820948]]))


def test_known_value_of_degree_one():
    sh = torch.zeros(1, 4, 3)
    sh[0, 1:, 0] = torch.tensor([1.0, 10.0, 100.0])
    values = colour(sh * 1e-3, torch.tensor([[0.0, 0.0, 3.0]]), torch.tensor([0.0, -1.0, 3.0]), 1)
    assert values[0, 0].item() == pytest.approx(0.5 - 0.4886025e-3)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_gradients(degree):
    scene = gaussians(4)

    def coloured(sh, means, camera_centre):
        return colour(sh, means, camera_centre, degree)

    inputs = {"sh": scene["sh"], "means": scene["means"], "camera_centre": CENTRE}
    assert_finite_differences(coloured, inputs)


def test_coefficients_above_the_degree_do_not_matter():
    scene = gaussians(4)
    low = colour(scene["sh"][:, :4], scene["means"], CENTRE, 1)
    assert torch.equal(colour(scene["sh"], scene["means"], CENTRE, 1), low)


def test_colours_clamped_at_zero_have_no_gradient_and_may_exceed_one():
    sh = torch.tensor([[[-5.0, 5.0, 0.1]]], requires_grad=True)
    values = colour(sh, torch.zeros(1, 3), torch.ones(3), 0)
    values.sum().backward()
    assert values[0, 0] == 0
    assert values[0, 1] > 1
    assert (sh.grad[0, 0] != 0).tolist() == [False, True, True]


def test_gaussian_at_the_camera_centre_is_finite():
    means = torch.ones(1, 3, requires_grad=True)
    sh = torch.full((1, 16, 3), 0.1)
    colour(sh, means, torch.ones(3), 3).sum().backward()
    assert not means.grad.any()


def test_invisible_rows_are_zero_and_do_not_affect_others():
    scene = gaussians(4)
    scene["means"][2] = torch.nan
    means, visible = scene["means"].requires_grad_(), torch.tensor([True, True, False, True])
    values = colour(scene["sh"], means, CENTRE, 3, visible)
    assert not values[2].any()
    assert torch.equal(values[:2], colour(scene["sh"][:2], means[:2], CENTRE, 3))
    values.sum().backward()
    assert torch.isfinite(means.grad).all()
    assert not means.grad[2].any()


def test_no_gaussians():
    assert colour(torch.zeros(0, 16, 3), torch.zeros(0, 3), torch.zeros(3), 3).shape == (0, 3)
