"""Adam on the rigid motions of bodies."""

import torch

from sfumato.maths.quaternions import normalised, quat_product, rotation_from_quats
from sfumato.tracking.body_descent import BodyDescent
from sfumato.tracking.track_state import MovingPoses

COUNT = 12


def poses():
    generator = torch.Generator().manual_seed(4)
    means, quats = (torch.randn(COUNT, size, generator=generator) for size in (3, 4))
    return MovingPoses(means, normalised(quats))


def rotated(start, turn, shift):
    """Poses turned about their mean, then translated."""
    centre = start.means.mean(dim=0)
    rotation = rotation_from_quats(turn[None])[0]
    means = (start.means - centre) @ rotation.T + centre + shift
    return MovingPoses(means, quat_product(turn, start.quats))


def descended(start, loss, steps, bodies=None, rows=None):
    """The poses after some steps on a loss of means and quaternions."""
    now = MovingPoses(*(tensor.clone().requires_grad_() for tensor in (start.means, start.quats)))
    rows = torch.arange(COUNT) if rows is None else rows
    bodies = torch.zeros(len(rows), dtype=torch.int64) if bodies is None else bodies
    descent = BodyDescent(bodies, rows, int(bodies.max()) + 1)
    for step in range(steps):
        gradients = torch.autograd.grad(
            loss(now), (now.means, now.quats), allow_unused=True, materialize_grads=True
        )
        descent.descend(now, gradients, 0.05 * 0.97**step)
    return MovingPoses(now.means.detach(), now.quats.detach())


def test_a_body_finds_its_rigid_motion():
    start = poses()
    turn = normalised(torch.tensor([[1.0, 0.1, -0.15, 0.05]]))[0]
    goal = rotated(start, turn, torch.tensor([0.2, -0.1, 0.3]))
    found = descended(start, lambda now: (now.means - goal.means).square().sum(), 150)
    torch.testing.assert_close(found.means, goal.means, rtol=0, atol=0.01)
    torch.testing.assert_close(found.quats, goal.quats, rtol=0, atol=0.01)


def test_orientations_alone_turn_a_body():
    start = poses()
    turn = normalised(torch.tensor([[1.0, 0.1, 0.2, -0.1]]))[0]
    goal = rotated(start, turn, torch.zeros(3))
    found = descended(start, lambda now: (now.quats - goal.quats).square().sum(), 150)
    torch.testing.assert_close(found.quats, goal.quats, rtol=0, atol=0.01)
    torch.testing.assert_close(found.means, goal.means, rtol=0, atol=0.03)


def test_distances_within_a_body_stay():
    start, goal = poses(), torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(5))
    found = descended(start, lambda now: (now.means - goal).square().sum(), 20)
    assert (found.means - start.means).norm(dim=1).min() > 0.1
    torch.testing.assert_close(torch.cdist(found.means, found.means), torch.cdist(start.means, start.means))
    torch.testing.assert_close(found.quats.norm(dim=1), torch.ones(COUNT))


def test_bodies_move_apart_and_the_rest_stays():
    """Two bodies of five; the last two Gaussians belong to none."""
    start = poses()
    bodies, rows = torch.arange(10) % 2, torch.arange(10)
    goal = start.means + torch.where(torch.arange(COUNT) % 2 == 0, 0.4, -0.4)[:, None]
    found = descended(start, lambda now: (now.means - goal).square().sum(), 150, bodies, rows)
    torch.testing.assert_close(found.means[rows], goal[rows], rtol=0, atol=0.02)
    assert torch.equal(found.means[10:], start.means[10:]) and torch.equal(found.quats[10:], start.quats[10:])


def test_bodies_that_no_photograph_shows_stay():
    start = poses()
    found = descended(start, lambda now: 0.0 * now.means.sum(), 2)
    torch.testing.assert_close(found.means, start.means)


def test_a_body_without_members_or_of_one_point_is_harmless():
    start = poses()
    rows = torch.tensor([3])
    now = MovingPoses(start.means.clone(), start.quats.clone())
    descent = BodyDescent(torch.tensor([1]), rows, 3)
    descent.descend(now, (torch.ones(COUNT, 3), torch.zeros(COUNT, 4)), 0.1)
    torch.testing.assert_close(now.means[3], start.means[3] - 0.1, rtol=0, atol=1e-3)
    assert now.means.isfinite().all() and now.quats.isfinite().all()
