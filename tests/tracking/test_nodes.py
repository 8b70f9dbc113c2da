"""Control nodes move the Gaussians near them."""

import torch

from sfumato.maths.quaternions import rotation_from_quats
from sfumato.tracking.nodes import place_nodes


def test_rigidly_moving_nodes_move_all_gaussians_rigidly():
    torch.manual_seed(0)
    means = torch.randn(50, 3, dtype=torch.float64)
    quats = torch.nn.functional.normalize(torch.randn(50, 4, dtype=torch.float64), dim=1)
    nodes = place_nodes(means, 6)
    turn = torch.tensor([0.9, 0.1, -0.3, 0.2], dtype=torch.float64)
    rotation = rotation_from_quats(turn[None])[0]
    rest = means[nodes.rows]
    # Rotation of all nodes about the origin.
    shifts = rest @ rotation.T - rest
    found, turned = nodes.carry(shifts, turn.expand(6, 4), means, quats)
    torch.testing.assert_close(found, means @ rotation.T)
    torch.testing.assert_close(rotation_from_quats(turned), rotation @ rotation_from_quats(quats))


def test_weights_of_the_nearest_nodes_sum_to_one():
    torch.manual_seed(1)
    means = torch.randn(200, 3)
    nodes = place_nodes(means, 20)
    torch.testing.assert_close(nodes.weights.sum(1), torch.ones(200))
    distances = torch.cdist(means, means[nodes.rows])
    nearest = distances.topk(4, largest=False).indices
    assert torch.equal(nodes.influences.sort(1).values, nearest.sort(1).values)
    assert len(set(nodes.rows.tolist())) == 20


def test_distant_parts_are_not_moved():
    torch.manual_seed(2)
    means = torch.cat([torch.randn(40, 3), torch.randn(40, 3) + 50])
    nodes = place_nodes(means, 10)
    shifts = torch.where(means[nodes.rows, :1] > 25, 1.0, 0.0).expand(10, 3)
    unturned = torch.tensor([1.0, 0, 0, 0]).expand(10, 4)
    found, _ = nodes.carry(shifts, unturned, means, torch.ones(80, 4) / 2)
    torch.testing.assert_close(found[:40], means[:40], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[40:], means[40:] + 1, atol=1e-4, rtol=0)


def test_the_number_of_nodes_is_limited_by_the_gaussians():
    assert len(place_nodes(torch.randn(3, 3), 10)) == 3
