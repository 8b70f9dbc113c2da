"""Training on the photographs of all steps together."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from sfumato.capture.multiview import load_multiview
from sfumato.maths.quaternions import conjugate, normalised, quat_product
from sfumato.tracking.all_steps import TrackedMotion, trained_on_all_steps
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.held_out_cameras import HeldOutCameras
from sfumato.tracking.motion_since_birth import MotionSinceBirth
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.track_state import start
from support.moving_scenes import brief_scene, first_scene, moving_video, tracked_scene

pytestmark = [pytest.mark.kernels, pytest.mark.slow]

STEPS = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A scene of the true motion in wrong colours, the same after training, and its held-out cameras."""
    video = load_multiview(moving_video(tmp_path_factory.mktemp("video"), steps=STEPS))
    noise = torch.randn(first_scene().sh.shape, generator=torch.Generator().manual_seed(0))
    wrong = replace(first_scene(), sh=first_scene().sh + 0.4 * noise)
    scene, cameras = replace(tracked_scene(STEPS), gaussians=wrong), video.train_cameras
    colours = {"gains": torch.ones(len(cameras), 3), "offsets": torch.zeros(len(cameras), 3)}
    state = start(cameras, wrong, scene.ids, TrackConfig(nodes=0), Foreground(video), **colours)
    held_out = HeldOutCameras(video.test_cameras, wrong, state.settings)
    motion = MotionSinceBirth(scene)
    found = [motion.carried(trained_on_all_steps(video, state, motion, steps=80)) for _ in range(2)]
    return scene, *found, held_out


def test_colours_are_learnt_from_all_steps(trained):
    scene, found, _, held_out = trained
    for step, time in enumerate(scene.times.tolist()):
        before, after = (held_out.score(one.at(time), step) for one in (scene, found))
        assert after.psnr > before.psnr + 3 and after.psnr_changed > before.psnr_changed + 1


def test_shapes_are_trained_and_the_motion_stays(trained):
    scene, found, _, _ = trained
    moved = (found.gaussians.means != scene.gaussians.means).any(dim=1)
    assert moved.float().mean() > 0.7 and moved[scene.ids].all()
    before, after = (quat_product(one.quats[-1], conjugate(one.quats[0])) for one in (scene, found))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_the_same_seed_gives_the_same_bits(trained):
    _, found, again, _ = trained
    for name, tensor in found.gaussians.tensors().items():
        assert torch.equal(tensor, again.gaussians.tensors()[name])


@pytest.mark.parametrize("step", range(5))
def test_gaussians_are_drawn_as_they_are_at_the_step(step):
    scene = brief_scene()
    motion = TrackedMotion(MotionSinceBirth(scene), [step], torch.ones(1, 3), torch.zeros(1, 3))
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
    motion = TrackedMotion(MotionSinceBirth(tracked_scene()), [0, 0], gains, offsets)
    image = torch.rand(4, 5, 3)
    assert torch.equal(motion.apply(image, SimpleNamespace(number=1)), image * gains[1] + offsets[1])
