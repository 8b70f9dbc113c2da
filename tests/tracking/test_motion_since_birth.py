"""The motion of Gaussians applied to changed ones."""

from dataclasses import replace

import torch

from sfumato.maths.quaternions import normalised
from sfumato.scene.dynamic import DynamicScene
from sfumato.tracking.motion_since_birth import MotionSinceBirth
from support.moving_scenes import brief_scene, first_scene

HALF = 0.5**0.5


def tracks_of(scene):
    """Means and quaternions at each step, finite where a Gaussian does not exist."""
    return scene.means.nan_to_num(0.0), scene.quats.nan_to_num(1.0)


def test_unchanged_gaussians_keep_their_poses():
    scene = brief_scene()
    carried = MotionSinceBirth(scene).carried(scene.gaussians, *tracks_of(scene))
    torch.testing.assert_close(carried.means, scene.means, equal_nan=True)
    torch.testing.assert_close(carried.quats, scene.quats, equal_nan=True)


def test_a_changed_gaussian_moves_as_if_fixed_to_the_one_that_was_tracked():
    """It was born in step 1, and is in step 2 at (5, 0, 0), turned by a quarter about z."""
    absent = [torch.nan] * 4
    quats = torch.tensor([[absent], [[1.0, 0.0, 0.0, 0.0]], [[HALF, 0.0, 0.0, HALF]]])
    means = torch.tensor([[absent[:3]], [[1.0, 2.0, 3.0]], [[5.0, 0.0, 0.0]]])
    ids, birth, death = torch.tensor([2]), torch.tensor([1]), torch.tensor([3])
    scene = DynamicScene(
        first_scene().select(torch.arange(4)), ids, torch.arange(3.0).double(), means, quats, birth, death
    )
    scene = replace(scene, gaussians=scene.at_birth())
    means, quats = scene.gaussians.means.clone(), scene.gaussians.quats.clone()
    means[2] += torch.tensor([0.5, 0.25, 1.0])
    quats[2] = torch.tensor([2.0, 0.0, 0.0, 2.0])
    carried = MotionSinceBirth(scene).carried(
        replace(scene.gaussians, means=means, quats=quats), *tracks_of(scene)
    )
    assert carried.means[0].isnan().all() and carried.quats[0].isnan().all()
    torch.testing.assert_close(carried.means[1:, 0], torch.tensor([[1.5, 2.25, 4.0], [4.75, 0.5, 1.0]]))
    torch.testing.assert_close(carried.quats[1:, 0], torch.tensor([[HALF, 0, 0, HALF], [0, 0, 0, 1.0]]))
    assert torch.equal(carried.gaussians.means, means)


def test_gaussians_made_from_others_follow_their_tracks():
    """A still one and two moving ones are left; the first of these twice, once moved aside."""
    scene = brief_scene()
    still = next(row for row in range(len(scene)) if row not in scene.ids)
    first, last = scene.ids[0], scene.ids[-1]
    source = torch.tensor([still, first, last, first])
    gaussians = scene.gaussians.select(source)
    gaussians.means[3] += torch.tensor([0.0, 0.2, 0.0])
    motion = MotionSinceBirth(scene, source)
    carried = motion.carried(gaussians, *tracks_of(scene))
    assert carried.ids.tolist() == [1, 2, 3] and motion.columns.tolist() == [0, len(scene.ids) - 1, 0]
    torch.testing.assert_close(carried.means[:, 0], scene.means[:, 0])
    torch.testing.assert_close(carried.means[:, 1], scene.means[:, -1])
    apart = carried.means[:, 2] - carried.means[:, 0]
    # The motion of each turns about the y axis.
    torch.testing.assert_close(apart, torch.tensor([[0.0, 0.2, 0.0]]).expand(scene.num_steps, 3))
    assert torch.equal(carried.birth, scene.birth[motion.columns])


def test_gaussians_follow_changed_tracks():
    scene = brief_scene()
    means, quats = tracks_of(scene)
    carried = MotionSinceBirth(scene).carried(scene.gaussians, means + 0.5, 3.0 * quats)
    torch.testing.assert_close(carried.means, scene.means + 0.5, equal_nan=True)
    torch.testing.assert_close(carried.quats, scene.quats, equal_nan=True)
    torch.testing.assert_close(carried.gaussians.means[scene.ids], scene.gaussians.means[scene.ids] + 0.5)


def test_gradients_reach_the_gaussians_and_the_tracks():
    scene = brief_scene()
    motion = MotionSinceBirth(scene)

    def last(means, quats, *tracks):
        changed = replace(scene.gaussians, means=means.float(), quats=quats.float())
        found = motion.poses(changed, 2, (tracks[0].float(), tracks[1].float()))
        return found[0].double(), normalised(found[1]).double()

    leaves = [getattr(scene.gaussians, name).double().requires_grad_() for name in ("means", "quats")]
    leaves += [values[2].double().requires_grad_() for values in tracks_of(scene)]
    assert torch.autograd.gradcheck(last, leaves, eps=1e-2, atol=1e-2, rtol=1e-2)
