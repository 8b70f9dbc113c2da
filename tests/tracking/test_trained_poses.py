"""The poses of all steps, while they are trained together."""

import pytest
import torch

from sfumato.maths.neighbours import Neighbours
from sfumato.maths.quaternions import normalised
from sfumato.tracking.bodies import Bodies
from sfumato.tracking.nodes import Nodes
from sfumato.tracking.track_state import MovingPoses
from support.moving_scenes import brief_scene, poses_of, tracked_scene


def test_poses_start_as_tracked_and_are_finite_at_all_steps():
    scene = brief_scene()
    poses = poses_of(scene)
    columns = torch.arange(len(scene.ids))
    for step, at in enumerate(poses.all):
        alive = scene.alive(step)
        torch.testing.assert_close(at.means[alive], scene.means[step, alive])
        torch.testing.assert_close(at.quats[alive], normalised(scene.quats[step, alive]))
        before = step < scene.birth
        assert torch.equal(at.means[before], scene.means[scene.birth, columns][before])
        after = step >= scene.death
        assert torch.equal(at.means[after], scene.means[scene.death - 1, columns][after])


def test_a_step_changes_the_poses_of_one_step():
    poses = poses_of(tracked_scene())
    before = [MovingPoses(at.means.clone(), at.quats.clone()) for at in poses.all]
    ones = torch.ones_like(before[1].means)
    poses.descend(1, (ones, torch.zeros_like(before[1].quats)), 0.0)
    after = poses.all
    # The first step of Adam has the length of the rate: a tenth of a pixel.
    torch.testing.assert_close(after[1].means, before[1].means - 0.1 * 0.05 * ones, rtol=0, atol=1e-5)
    assert torch.equal(after[1].quats, before[1].quats)
    assert all(torch.equal(after[step].means, before[step].means) for step in (0, 2, 3))


def test_bodies_follow_what_the_gradients_have_in_common():
    """All Gaussians but one are of one body; a gradient that acts on one moves it all."""
    scene = brief_scene()
    order, of = torch.tensor([5, 0, 3, 1, 2]), torch.zeros(5, 1, dtype=torch.int64)
    body = Bodies(Nodes(torch.tensor([0]), of, torch.ones(5, 1)), torch.ones(5, dtype=torch.bool))
    near = Neighbours(torch.full((5, 1), -1, dtype=torch.int32), torch.zeros(5, 1), torch.zeros(5, 1))
    changes = {"neighbours": near, "edge_weights": near.weights, "ids": scene.ids[order]}
    alone, together = (poses_of(scene, bodies=bodies, **changes) for bodies in (None, body))
    before = alone.at(1).means.detach().clone()
    of_means, of_quats = torch.zeros(6, 3), torch.zeros(6, 4)
    of_means[0] = torch.tensor([1.0, 0.0, 0.0])
    for poses in (alone, together):
        poses.descend(1, (of_means, of_quats), 0.0)
    moved = (together.at(1).means.detach() - before).norm(dim=1)
    assert ((alone.at(1).means.detach() - before).norm(dim=1) > 1e-6).tolist() == [True] + 5 * [False]
    # Column 1 does not exist yet, and column 4 belongs to no body.
    assert (moved > 1e-6).tolist() == [True, False, True, True, False, True]


def test_rates_fall():
    poses = poses_of(tracked_scene())
    before = poses.at(1).means.detach().clone()
    gradients = torch.ones_like(before), torch.zeros(len(before), 4)
    poses.descend(1, gradients, 1.0)
    torch.testing.assert_close(poses.at(1).means.detach(), before - 0.02 * 0.05, rtol=0, atol=2e-6)


@pytest.mark.kernels
def test_a_rigid_motion_is_not_penalised_and_another_is():
    poses = poses_of(tracked_scene())
    assert poses.penalty(0) is None
    # Up to the rounding of positions.
    assert float(poses.penalty(2).detach()) < 1e-3
    with torch.no_grad():
        poses.at(2).means[5] += 0.3
    penalty = poses.penalty(2)
    assert float(penalty.detach()) > 0.01
    penalty.backward()
    assert poses.at(2).means.grad[5].norm() > 0 and poses.at(1).means.grad is None


@pytest.mark.kernels
def test_gaussians_that_do_not_exist_are_not_neighbours():
    """Column 1 is born in step 2, and column 2 dies before step 3."""
    scene = brief_scene()
    rows = torch.tensor([[1], [0], [0], [2], [1], [2]], dtype=torch.int32)
    near = Neighbours(rows, torch.ones(6, 1), torch.ones(6, 1))
    poses = poses_of(scene, neighbours=near, edge_weights=near.weights)
    poses.penalty(1).backward()
    moved = poses.at(1).means.grad.norm(dim=1) > 0
    assert moved.tolist() == [True, False, True, True, False, True]
    poses.penalty(3).backward()
    moved = poses.at(3).means.grad.norm(dim=1) > 0
    assert moved.tolist() == [True, True, False, False, True, False]


@pytest.mark.kernels
def test_neighbours_are_found_among_tracks_in_another_order():
    """A run lists its tracks by birth; a still Gaussian that vanished is a track of the scene alone."""
    scene = brief_scene()
    order = torch.tensor([5, 0, 3, 1])
    rows = torch.tensor([[1], [2], [3], [-1]], dtype=torch.int32)
    weights = torch.tensor([[1.0], [1.0], [1.0], [0.0]])
    near = Neighbours(rows, weights, weights)
    poses = poses_of(scene, ids=scene.ids[order], neighbours=near, edge_weights=weights)
    poses.penalty(4).backward()
    moved = poses.at(4).means.grad.norm(dim=1) > 0
    # Column 5 has neighbour 0, column 0 has 3, and column 3 has 1.
    assert moved.tolist() == [True, True, False, True, False, True]
