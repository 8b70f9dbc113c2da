"""Adam on the poses of one step, and the priors on them."""

import pytest
import torch

from sfumato import ops
from sfumato.maths.neighbours import near_neighbours
from sfumato.tracking.pose_descent import PoseDescent, motion_penalty
from sfumato.tracking.track_config import Priors
from sfumato.tracking.track_state import MovingPoses


def poses(count=8):
    generator = torch.Generator().manual_seed(3)
    return MovingPoses(*(torch.randn(count, size, generator=generator) for size in (3, 4)))


def test_poses_approach_the_minimum_and_the_start_stays():
    start, goal = poses(), poses()
    before = start.means.clone()
    descent = PoseDescent(start, spacing=0.5)
    goal = MovingPoses(start.means + 0.3, start.quats)
    for step in range(60):
        descent.descend((descent.leaves.means.detach() - goal.means, torch.zeros(8, 4)), 0.02 * 0.95**step)
    torch.testing.assert_close(descent.poses.means, goal.means, rtol=0, atol=0.02)
    assert torch.equal(start.means, before)


def test_rotations_move_neighbours_half_as_far_as_positions():
    start = poses()
    descent = PoseDescent(start, spacing=0.5)
    descent.descend((torch.ones(8, 3), torch.ones(8, 4)), 0.02)
    torch.testing.assert_close(descent.leaves.means.detach(), start.means - 0.02, rtol=0, atol=5e-5)
    torch.testing.assert_close(descent.leaves.quats.detach(), start.quats - 0.02, rtol=0, atol=5e-5)


def test_rotations_are_of_length_one_in_the_result():
    found = PoseDescent(poses(), spacing=0.5).poses
    torch.testing.assert_close(found.quats.norm(dim=1), torch.ones(8))
    assert not found.means.requires_grad and not found.quats.requires_grad


def test_tiny_gradients_beside_large_ones_move_little():
    """Such as the rounding of hidden Gaussians."""
    start, gradient = poses(), torch.ones(8, 3)
    gradient[0] = 1e-7
    descent = PoseDescent(start, spacing=0.5)
    descent.descend((gradient, torch.zeros(8, 4)), 0.02)
    moved = (descent.poses.means - start.means).abs()
    assert moved[0].max() < 1e-4 and moved[1:].min() > 0.019


def test_poses_that_no_photograph_shows_stay():
    start = poses()
    descent = PoseDescent(start, spacing=0.5)
    descent.descend((torch.zeros(8, 3), torch.zeros(8, 4)), 0.02)
    assert torch.equal(descent.poses.means, start.means)


@pytest.mark.kernels
def test_the_penalty_is_the_weighted_sum_of_the_priors():
    before, now = poses(), poses(8)
    now = MovingPoses(now.means + torch.linspace(0, 1, 8)[:, None], now.quats.flip(0))
    near = near_neighbours(before.means, 3)
    each = ops.motion_priors(
        now.means, now.quats, before.means, before.quats, near.rows, near.weights, near.distances
    )
    found = motion_penalty(Priors(2.0, 3.0, 5.0), before, now, near, near.weights)
    assert float(found) == pytest.approx(float(each @ torch.tensor([2.0, 3.0, 5.0])))
    assert float(motion_penalty(Priors(0, 0, 0), before, now, near, near.weights)) == 0
