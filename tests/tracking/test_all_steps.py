"""Training on the photographs of all steps together."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from sfumato.capture.multiview import load_multiview
from sfumato.maths.quaternions import normalised
from sfumato.tracking.all_steps import trained_on_all_steps
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.held_out_cameras import HeldOutCameras
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import start
from sfumato.tracking.tracked_motion import TrackedMotion
from support.moving_scenes import brief_scene, first_scene, moving_video, poses_of, tracked_scene

pytestmark = [pytest.mark.kernels, pytest.mark.slow]

STEPS = 4
FAINT = slice(0, 60, 2)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return load_multiview(moving_video(tmp_path_factory.mktemp("video"), steps=STEPS))


def tracked_state(video, gaussians):
    """The state of a run of the video after its first step, in which the cameras agree."""
    cameras, ids = video.train_cameras, tracked_scene(STEPS).ids
    colours = {"gains": torch.ones(len(cameras), 3), "offsets": torch.zeros(len(cameras), 3)}
    return start(cameras, gaussians, ids, TrackConfig(nodes=0), Foreground(video), **colours)


@pytest.fixture(scope="module")
def trained(video):
    """A scene of the true motion in wrong colours, the same after training, and its held-out cameras."""
    noise = torch.randn(first_scene().sh.shape, generator=torch.Generator().manual_seed(0))
    wrong = replace(first_scene(), sh=first_scene().sh + 0.4 * noise)
    scene, state = replace(tracked_scene(STEPS), gaussians=wrong), tracked_state(video, wrong)
    held_out = HeldOutCameras(video.test_cameras, wrong, state.settings)
    found = [trained_on_all_steps(video, state, scene, steps=80) for _ in range(2)]
    return scene, *found, held_out


def test_colours_are_learnt_from_all_steps(trained):
    scene, found, _, held_out = trained
    for step, time in enumerate(scene.times.tolist()):
        before, after = (held_out.score(one.at(time), step) for one in (scene, found))
        assert after.psnr > before.psnr + 3 and after.psnr_changed > before.psnr_changed + 1


def test_the_same_seed_gives_the_same_bits(trained):
    _, found, again, _ = trained
    assert torch.equal(found.means, again.means) and torch.equal(found.quats, again.quats)
    for name, tensor in found.gaussians.tensors().items():
        assert torch.equal(tensor, again.gaussians.tensors()[name])


@pytest.fixture(scope="module")
def longer(video):
    """The true scene; the result of training for one that was tracked half a pixel beside it in the third
    step, and of which some Gaussians are invisible; and that error."""
    scene, state = tracked_scene(STEPS), tracked_state(video, first_scene())
    error = torch.tensor([0.0, 0.5 * state.pixel_size, 0.0])
    means, opacities = scene.means.clone(), scene.gaussians.logit_opacities.clone()
    means[2] += error
    opacities[FAINT] = -9.0
    wrong = replace(scene, means=means, gaussians=replace(scene.gaussians, logit_opacities=opacities))
    return scene, trained_on_all_steps(video, state, wrong, steps=200), error


def test_poses_are_trained(longer):
    scene, found, error = longer
    moved, true = ((one.means[2] - one.means[1]).mean(dim=0) for one in (found, scene))
    assert (moved - true).norm() < 0.5 * error.norm()


def test_faint_gaussians_are_replaced(longer):
    scene, found, _ = longer
    assert len(scene) - 5 < len(found) <= len(scene) and found.gaussians.opacities.min() > 0.005
    assert found.ids[0] < scene.ids[0] and len(found.ids) >= len(scene.ids)


def test_new_gaussians_move_with_those_they_are_made_from():
    scene = brief_scene()
    motion = TrackedMotion(scene, poses_of(scene), [3], torch.ones(1, 3), torch.zeros(1, 3))
    order = torch.arange(len(scene)).roll(2)
    motion.rearrange(order)
    source = torch.cat([torch.arange(len(scene)), torch.tensor([4, 4])])
    motion.rearrange(source)
    found = motion.carried(scene.gaussians.select(order[source]))
    at, expected = found.at(float(scene.times[3])), scene.at(float(scene.times[3]))
    made_from = order[source][at.identities]
    rows = torch.searchsorted(expected.identities, made_from)
    torch.testing.assert_close(at.means, expected.means[rows])
    drawn = motion.drawn(scene.gaussians.select(order[source]), SimpleNamespace(number=0))
    torch.testing.assert_close(drawn.means[at.identities], at.means)


@pytest.mark.parametrize("step", range(5))
def test_gaussians_are_drawn_as_they_are_at_the_step(step):
    scene = brief_scene()
    motion = TrackedMotion(scene, poses_of(scene), [step], torch.ones(1, 3), torch.zeros(1, 3))
    drawn = motion.drawn(scene.gaussians, SimpleNamespace(number=0))
    expected = scene.at(float(scene.times[step]))
    torch.testing.assert_close(drawn.means[expected.identities], expected.means)
    torch.testing.assert_close(normalised(drawn.quats[expected.identities]), normalised(expected.quats))
    exists = torch.zeros(len(scene), dtype=torch.bool)
    exists[expected.identities] = True
    assert torch.equal(drawn.logit_opacities[exists], expected.logit_opacities)
    assert (drawn.opacities[~exists] < 1e-12).all()


def test_renders_are_in_the_colours_of_the_camera():
    gains, offsets = torch.tensor([[1.0] * 3, [0.5, 1.0, 2.0]]), torch.tensor([[0.0] * 3, [0.1, 0.2, 0.3]])
    scene = tracked_scene()
    motion = TrackedMotion(scene, poses_of(scene), [0, 0], gains, offsets)
    image = torch.rand(4, 5, 3)
    assert torch.equal(motion.apply(image, SimpleNamespace(number=1)), image * gains[1] + offsets[1])
