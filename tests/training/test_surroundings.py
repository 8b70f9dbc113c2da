"""Gaussians that are drawn but not trained."""

import torch

from sfumato.capture.dataset import load_capture
from sfumato.maths.colour_logits import logits_from_colours
from sfumato.maths.sh import SH_C0
from sfumato.render.draw import draw
from sfumato.scene.changes import merged
from sfumato.training.parts.surroundings import Surroundings
from sfumato.training.state import restore, start
from sfumato.training.step import gradients
from support.capture_folders import colmap_folder
from support.crowd import NAMES, crowd
from support.tiny import CAP, differences, tiny_config, train_until


def begun(tmp_path, around, **changes):
    config = tiny_config(random_background=False, **changes)
    capture = load_capture(colmap_folder(tmp_path / "data"))
    return capture, start(capture, config, cap=CAP, parts=[Surroundings(around, config)])


def in_front(count):
    """Gaussians before the first cameras."""
    scene = crowd([0.3] * count, [0.4] * count)
    scene.means[:, 0] -= 10.0
    scene.means[:, 2] = 2.0
    return scene


def test_they_are_drawn_but_have_no_gradients_and_no_rows(tmp_path):
    around = in_front(3)
    _, state = begun(tmp_path, around)
    own, context = state.population.gaussians, state.context()
    found = gradients(state, [0])
    assert len(found.visible) == len(found.screen_gradient) == len(own) == 10
    assert set(found.of_gaussians) == set(NAMES)
    assert all(len(found.of_gaussians[name]) == 10 for name in NAMES)
    # The loss is that of the scene with them, not of the one without.
    view = state.views[0]
    size = tuple(max(side // context.downscale, 8) for side in view.camera.size_px)
    image = draw(merged(own.detach(), around), view.camera.resized(*size), state.settings).image
    without = draw(own.detach(), view.camera.resized(*size), state.settings).image
    assert (image - without).abs().max() > 0.05
    alone = start(load_capture(tmp_path / "data"), state.config, cap=CAP)
    assert float(gradients(alone, [0]).loss) != float(found.loss)


def test_a_run_around_them_leaves_them_and_its_rows_apart(tmp_path):
    around = in_front(3)
    before = around.map(torch.clone)
    capture, state = begun(tmp_path, around)
    train_until(capture, state, 20)
    assert all(torch.equal(getattr(around, name), getattr(before, name)) for name in NAMES)
    assert len(state.population) > 10, "it was densified"
    assert len(state.gaussians) == len(state.population)


def test_a_resumed_run_has_the_same_bits(tmp_path):
    around = in_front(3)
    capture, whole = begun(tmp_path, around)
    train_until(capture, whole, 20)
    _, half = begun(tmp_path, around)
    train_until(capture, half, 9)
    again = restore(half.state_dict(), capture, half.config, parts=[Surroundings(around, half.config)])
    train_until(capture, again, 20)
    assert not differences(whole.state_dict(), again.state_dict())


def test_they_take_the_form_of_the_trained_colours(tmp_path):
    around = in_front(2)
    _, state = begun(tmp_path, around, colour="logit")
    drawn = state.parts["surroundings"].drawn(state.population.gaussians, None)
    assert drawn.sh.shape == (12, 1, 3)
    torch.testing.assert_close(drawn.sh[10:, 0], logits_from_colours(0.5 + SH_C0 * around.sh[:, 0]))
