"""The two halves of a training step, and its parts."""

import copy
from dataclasses import fields, replace
from typing import get_args

import pytest
import torch

from sfumato import ops
from sfumato.errors import ConfigError
from sfumato.render.draw import draw
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import AdcConfig, FieldName, McmcConfig, Schedule, TrainConfig
from sfumato.training.densify import Densifier
from sfumato.training.part import Part
from sfumato.training.state import start
from sfumato.training.step import apply, gradients, train_step
from sfumato.training.target import make_target
from sfumato.training.train import train
from support.capture_folders import colmap_folder
from support.tiny import CAP, differences, tiny_config, tiny_start

# Adam divides by the root of the second moment, so the rounding of a gradient of 1e-8 can change a step by a
# tenth; therefore gradients are compared, relative to the largest of a field.
ROUNDING = 1e-5


@pytest.fixture
def root(tmp_path):
    return colmap_folder(tmp_path)


def close(found, expected):
    for name in expected:
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(found[name], expected[name], atol=ROUNDING * scale, rtol=0.0)


def by_hand(state, numbers):
    """Gradients of the mean loss of some views, computed with the operations."""
    leaves = state.population.gaussians.map(lambda t: t.detach().clone().requires_grad_())
    total = 0.0
    for number in numbers:
        view = state.views[number]
        target = make_target(view.load(), view.camera.size_px, state.background)
        image = draw(leaves, view.camera, state.settings).image
        total = total + ops.photometric_loss(
            image, target.image, target.weight, ssim_weight=state.config.ssim_weight
        ) / len(numbers)
    total.backward()
    return total.detach(), {name: leaf.grad for name, leaf in leaves.tensors().items()}


def plain(**changes):
    """A configuration without parts that affect rendering or loss, and with photographs at full size."""
    schedule = Schedule(half_resolution_until=0.0, quarter_resolution_until=0.0, sh_raises=(0.0, 0.0, 0.0))
    adc = AdcConfig(opacity_weight=0.0, scale_weight=0.0)
    return tiny_config(random_background=False, adc=adc, schedule=schedule, **changes)


@pytest.mark.parametrize("numbers", [[0], [1], [0, 1], [1, 1, 0]])
def test_the_first_half_gives_the_gradients_of_the_mean_loss(root, numbers):
    _, state = tiny_start(root, plain())
    found = gradients(state, numbers)
    loss, expected = by_hand(state, numbers)
    assert found.views == tuple(numbers)
    torch.testing.assert_close(found.loss, loss)
    close(found.of_gaussians, expected)
    seen = sum(gradients(state, [number]).visible for number in numbers)
    assert torch.equal(found.visible, seen) and int(seen.max()) == len(numbers)


def test_the_first_half_changes_nothing(root):
    _, state = tiny_start(root, plain(exposure=True))
    before = copy.deepcopy(state.state_dict())
    first, again = gradients(state, [0, 1]), gradients(state, [0, 1])
    assert not differences(before, state.state_dict())
    assert all(torch.equal(first.of_gaussians[name], again.of_gaussians[name]) for name in first.of_gaussians)


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_gradients_of_two_processes_are_combined(root, strategy):
    """Two states with the same seed, as in two processes."""
    config = tiny_config(strategy=strategy, random_background=False, exposure=True, refine_poses=True)
    (_, one), (_, other) = tiny_start(root, config), tiny_start(root, config)
    together = gradients(one, [0, 1, 1])
    joined = gradients(other, [0]).joined(gradients(other, [1, 1]))
    assert joined.views == together.views
    close(joined.of_gaussians, together.of_gaussians)
    assert torch.equal(joined.visible, together.visible)
    for name, leaves in together.of_parts.items():
        close(joined.of_parts[name], leaves)
    assert (joined.screen_gradient is None) == (strategy == "mcmc")
    for state, found in ((one, together), (other, joined)):
        stats = apply(state, found)
        assert state.step == 1 and stats.loss == pytest.approx(float(together.loss))


def test_gradients_of_parameters_used_by_one_view_are_averaged(root):
    _, state = tiny_start(root, plain())
    one, other = gradients(state, [0]), gradients(state, [1, 1])
    left = {name: gradient for name, gradient in other.of_gaussians.items() if name != "sh"}
    joined = one.joined(type(other)(**{**vars(other), "of_gaussians": left}))
    torch.testing.assert_close(joined.of_gaussians["sh"], one.of_gaussians["sh"] / 3)


@pytest.mark.slow
def test_a_batch_is_an_option(root):
    capture, batched = tiny_start(root, tiny_config(batch_size=2))
    seen = []

    class Watch(Part):
        name = "watch"

        def step(self, state, gradients):
            seen.append(gradients.views)

    train(capture, batched.config, parts=[Watch()])
    assert len(seen) == 20 and all(sorted(views) == [0, 1] for views in seen)


@pytest.mark.parametrize("frozen", [("means",), ("quats", "sh"), ("means", "quats", "log_scales")])
@pytest.mark.parametrize("strategy, renderer", [("adc", "raster"), ("mcmc", "raster"), ("adc", "trace")])
def test_frozen_fields_stay_and_the_others_learn(root, strategy, renderer, frozen):
    config = TrainConfig(
        steps=6, strategy=strategy, renderer=renderer, frozen=frozen, mcmc=McmcConfig(noise=1e9)
    )
    _, state = tiny_start(root, config)
    before = state.population.gaussians.detach().map(torch.clone).tensors()
    for _ in range(6):
        train_step(state, [state.sampler.next()])
    after = state.population.gaussians.tensors()
    assert {name for name in before if torch.equal(before[name], after[name])} == set(frozen)


def test_unknown_fields_cannot_be_frozen():
    assert get_args(FieldName) == tuple(field.name for field in fields(Gaussians))
    with pytest.raises(ConfigError, match="frozen is 'colour'"):
        TrainConfig(frozen=("means", "colour"))


class Everything(Part):
    """Implements every method of a part, and records the calls."""

    name = "everything"

    def __init__(self):
        self.calls = []
        self.gain = torch.ones((), requires_grad=True)

    def prepare(self, shot):
        self.calls.append("prepare")
        return shot

    def apply(self, image, shot):
        self.calls.append("apply")
        return image * self.gain

    def penalty(self, gaussians, shot):
        self.calls.append("penalty")
        return 10.0 * (self.gain - 2.0) ** 2

    def parameters(self):
        return {"gain": self.gain}

    def step(self, state, gradients):
        self.calls.append("step")
        self.gain.data -= 0.01 * gradients.of_parts[self.name]["gain"]

    def state_dict(self):
        return {"gain": self.gain.detach()}


def test_a_custom_part_is_used(root):
    capture, state = tiny_start(root, tiny_config())
    part = Everything()
    state = start(capture, tiny_config(), cap=CAP, parts=[part])
    train_step(state, [0])
    assert part.calls == ["prepare", "apply", "penalty", "step"]
    # The gradient of the penalty is -20, much larger than that of the picture.
    assert float(part.gain.detach()) == pytest.approx(1.2, abs=0.05) and part.gain.grad is None
    names = list(state.parts)
    assert names.index("everything") < names.index("densifier") < names.index("average")
    assert torch.equal(state.state_dict()["parts"]["everything"]["gain"], part.gain)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_parts_follow_the_rows_of_the_gaussians(root, strategy):
    """Frozen colours stay with their Gaussians; a part that follows the rows holds the same ones."""
    config = replace(tiny_config(), strategy=strategy, frozen=("sh",))
    capture, state = tiny_start(root, config)

    class Follower(Part):
        name = "follower"
        calls = 0

        def __init__(self, sh):
            self.sh = sh

        def rearrange(self, source):
            self.calls, self.sh = self.calls + 1, self.sh[source]

    follower = Follower(state.population.gaussians.sh.detach().clone())
    state = train(capture, config, parts=[follower])
    assert follower.calls > 1 and len(state.population) != state.start_count
    assert torch.equal(follower.sh, state.population.gaussians.sh.detach())


@pytest.mark.slow
def test_a_part_with_the_name_of_another_replaces_it(root):
    class Nothing(Densifier):
        """Leaves the number of Gaussians alone."""

    capture, _ = tiny_start(root, tiny_config())
    sizes = []
    own = train(capture, tiny_config(), parts=[Nothing()], callbacks=[lambda s, t: sizes.append(t.gaussians)])
    assert len(set(sizes)) == 1 and isinstance(own.parts["densifier"], Nothing)
    assert len(train(capture, tiny_config()).population) != sizes[0]


def test_a_custom_loss_is_minimised(root):
    capture, state = tiny_start(root, plain())
    state = start(capture, plain(), cap=CAP, loss=lambda image, target: 3.0 * image.mean())
    found = gradients(state, [0])
    leaves = state.population.gaussians.map(lambda t: t.detach().clone().requires_grad_())
    (3.0 * draw(leaves, state.views[0].camera, state.settings).image.mean()).backward()
    close(found.of_gaussians, {name: leaf.grad for name, leaf in leaves.tensors().items()})
