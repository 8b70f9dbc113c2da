import torch

from sfumato.tracking.priors import below_floor, colour_change, displacement


def test_only_what_is_below_the_floor_counts():
    # y points down; the floor lies at y = 2.
    means = torch.tensor([[0.0, 1.0, 0.0], [5.0, 2.5, 0.0], [0.0, 4.0, 1.0]], requires_grad=True)
    value = below_floor(means, torch.tensor([0.0, -1.0, 0.0]), -2.0, length=0.5)
    torch.testing.assert_close(value, torch.tensor((0.5 + 2.0) / 0.5 / 3))
    value.backward()
    assert means.grad[:, 1].gt(0).tolist() == [False, True, True]
    assert not means.grad[:, [0, 2]].any()


def test_displacement_of_what_stands_still():
    means, quats = torch.zeros(2, 3), torch.tensor([[1.0, 0, 0, 0], [0.0, 2, 0, 0]])
    # The sign and length of a quaternion do not matter.
    assert displacement(means, -3 * quats, means, quats, 0.1) == 0
    moved = means + torch.tensor([[0.3, -0.1, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(displacement(moved, quats, means, quats, 0.1), torch.tensor(2.0))
    turned = torch.tensor([[0.0, 1, 0, 0], [0.0, 1, 0, 0]])
    torch.testing.assert_close(displacement(means, turned, means, quats, 0.1), torch.tensor(1.0))


def test_change_of_colour():
    colours = torch.tensor([[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]])
    torch.testing.assert_close(colour_change(colours + 0.1, colours), torch.tensor(0.3))


def test_no_gaussians():
    none, quats = torch.zeros(0, 3), torch.zeros(0, 4)
    assert below_floor(none, torch.tensor([0.0, 1, 0]), 0.0, 1.0) == 0
    assert displacement(none, quats, none, quats, 1.0) == 0
    assert colour_change(none, none) == 0
