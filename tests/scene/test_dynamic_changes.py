"""Changes of dynamic scenes: selections, resampling, cuts, compositions, and attached scenes."""

import dataclasses
import math

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.maths.quaternions import quat_product, rotation_from_quats
from sfumato.scene import changes
from sfumato.scene.dynamic_changes import (
    as_dynamic,
    composed,
    cut,
    held,
    resampled,
    riding,
    selected_dynamic,
    transformed_dynamic,
)
from sfumato.scene.gaussians import Gaussians
from support.moving_scenes import MOVING, SHIFT, TURN, brief_scene, tracked_scene, turned


def assert_same_moment(one, other):
    assert len(one) == len(other)
    torch.testing.assert_close(one.means, other.means, atol=1e-5, rtol=1e-5)
    dots = torch.nn.functional.normalize(one.quats) * torch.nn.functional.normalize(other.quats)
    torch.testing.assert_close(dots.sum(1).abs(), torch.ones(len(one)), atol=1e-5, rtol=0)


def test_a_transform_commutes_with_time():
    scene = brief_scene()
    matrix = changes.translation((1, 2, 3)) @ changes.rotation((20, 30, 40)) @ changes.scaling(2.0)
    moved = transformed_dynamic(scene, matrix)
    for time in (0.0, 0.06, 0.2):
        assert_same_moment(moved.at(time), changes.transformed(scene.at(time), matrix))


def test_a_selection_keeps_rows_and_tracks_together():
    scene = brief_scene()
    keep = torch.ones(len(scene), dtype=torch.bool)
    keep[scene.ids[0]] = keep[(torch.arange(9)[:, None] != scene.ids).all(1)] = False
    some = selected_dynamic(scene, keep)
    assert len(some) == 5 and some.ids.tolist() == [0, 1, 2, 3, 4]
    for time in scene.times.tolist():
        now = scene.at(time)
        assert_same_moment(some.at(time), now.select(keep[now.identities]))


def test_the_same_times_change_nothing():
    scene = brief_scene()
    again = resampled(scene, scene.times)
    for name in ("means", "quats", "birth", "death", "ids"):
        expected = getattr(scene, name)
        torch.testing.assert_close(getattr(again, name), expected, atol=0, rtol=0, equal_nan=True)


def test_resampling_keeps_the_scene_at_each_time():
    scene = brief_scene()
    times = torch.linspace(-0.1, 1.0, 12, dtype=torch.float64)
    again = resampled(scene, times)
    for time in times.tolist():
        assert_same_moment(again.at(time), scene.at(time))


def test_gaussians_that_exist_at_no_resampled_time_are_removed():
    scene = brief_scene()
    early = resampled(scene, scene.times[:2])
    ids = scene.ids.tolist()
    assert len(early) == 8 and early.ids.tolist() == [i - (i > ids[1]) for i in ids if i != ids[1]]


def test_a_cut_has_the_given_ends():
    scene = brief_scene()
    start, end = 0.05, 0.4
    some = cut(scene, start, end)
    assert (float(some.times[0]), float(some.times[-1])) == (start, end)
    for time in some.times.tolist():
        assert_same_moment(some.at(time), scene.at(time))
    assert torch.equal(cut(scene).times, scene.times)
    assert cut(scene, end=0.0).num_steps == 1
    for bad in ((5.0, 6.0), (0.3, 0.2), (math.nan, 1.0)):
        with pytest.raises(ConfigError, match="nothing lies between"):
            cut(scene, *bad)


def test_two_scenes_are_shown_together_at_the_times_of_both():
    one = brief_scene()
    other = tracked_scene()
    # The same step except for rounding, at which a Gaussian is born.
    nearly = dataclasses.replace(one, times=one.times * (1 + 1e-12))
    both = composed(nearly, other, one)
    assert both.num_steps == len(set(one.times.tolist()) | set(other.times.tolist()))
    for time in both.times.tolist():
        parts = [one.at(time), other.at(time), one.at(time)]
        assert_same_moment(both.at(time), changes.merged(*parts))
    with pytest.raises(ConfigError, match="no scene"):
        composed()


def test_a_still_scene_stands_in_one_that_moves():
    scene = brief_scene()
    both = composed(scene, as_dynamic(scene.gaussians, scene.times))
    assert len(both) == 18 and torch.equal(both.ids, scene.ids)
    torch.testing.assert_close(both.at(0.2).means[-9:], scene.gaussians.means)


def test_poses_outside_a_lifetime_are_those_of_its_ends():
    scene = brief_scene()
    means = held(scene).means
    assert torch.equal(means[0, 1], scene.means[2, 1]) and torch.equal(means[4, 2], scene.means[2, 2])
    alive = scene.means.isfinite()
    assert torch.equal(means[alive], scene.means[alive])


@pytest.mark.parametrize("time", [0.0, 1.5 / 30])
def test_attached_scenes_move_with_their_carrier(time):
    """Attached to the ball, whose motion is known, at a step or between two steps."""
    scene = tracked_scene()
    hat = Gaussians(
        torch.tensor([[0.0, -0.8, 0.1], [0.5, 0.0, 0.0]]),
        torch.zeros(2, 3),
        torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0]]),
        torch.zeros(2),
        torch.zeros(2, 1, 3),
    )
    on = torch.ones(MOVING, dtype=torch.bool)
    rider = riding(hat, scene, on, time)
    assert torch.equal(rider.times, scene.times)
    angles = TURN * (torch.arange(4) - 30 * time)
    for step, angle in enumerate(angles.tolist()):
        rotation = rotation_from_quats(turned(angle)[None])[0]
        origin = 30 * time * SHIFT
        expected = (hat.means - origin) @ rotation.T + step * SHIFT
        # Between steps the scene follows a spline, with an error of third order in the rotation angle.
        torch.testing.assert_close(rider.means[step], expected, atol=1e-5 if time == 0 else 2e-3, rtol=0)
        quats = quat_product(turned(angle), torch.nn.functional.normalize(hat.quats))
        dots = (rider.quats[step] * quats).sum(1).abs()
        torch.testing.assert_close(dots, torch.ones(2), atol=1e-5, rtol=0)


def test_attached_scenes_have_the_lifetime_of_their_carrier():
    scene = brief_scene()
    only = torch.zeros(6, dtype=torch.bool)
    only[1] = True
    rider = riding(scene.gaussians, scene, only, float(scene.times[2]))
    assert set(rider.birth.tolist()) == {2} and set(rider.death.tolist()) == {5}
    torch.testing.assert_close(rider.means[2], scene.gaussians.means, atol=1e-5, rtol=1e-5)
    with pytest.raises(ConfigError, match="nothing that moves is selected"):
        riding(scene.gaussians, scene, torch.zeros(6, dtype=torch.bool), 0.0)
