"""Colour gain and offset of each photograph; float64, which needs no compiled kernel."""

import copy

import pytest
import torch

from sfumato.training.config import Rates
from sfumato.training.parts.exposure import Exposure
from support.steps import gradients_of, shot

VIEWS = 3


def exposure():
    made = Exposure(VIEWS, Rates(exposure=0.01))
    saved = made.state_dict()
    made.load_state_dict({**saved, "values": saved["values"].double(), "moments": saved["moments"].double()})
    return made


def image():
    return torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gain_and_offset(made, view):
    """[3] each, from a black and a white picture."""
    black = made.apply(torch.zeros(1, 1, 3, dtype=torch.float64), shot(view)).detach()[0, 0]
    white = made.apply(torch.ones(1, 1, 3, dtype=torch.float64), shot(view)).detach()[0, 0]
    return white - black, black


def fit(made, targets, steps):
    """Minimise the squared error, one photograph per step; returns the loss of each step."""
    losses = []
    for step in range(steps):
        view = step % len(targets)
        loss = (made.apply(image(), shot(view)) - targets[view]).square().mean()
        loss.backward()
        made.step(None, gradients_of(made, view))
        losses.append(float(loss.detach()))
    return losses


def test_at_the_start_nothing_changes():
    for view in range(VIEWS):
        assert torch.equal(exposure().apply(image(), shot(view)), image())


def test_gain_and_offset_are_per_channel():
    made = exposure()
    values = torch.zeros(VIEWS, 6, dtype=torch.float64)
    values[1] = torch.tensor([0.0, 2.0, -1.0, 0.1, 0.2, 0.3])
    made.load_state_dict({**made.state_dict(), "values": values})
    expected = image() * values[1, :3].exp() + values[1, 3:]
    torch.testing.assert_close(made.apply(image(), shot(1)), expected)
    assert torch.equal(made.apply(image(), shot(0)), image())


def test_a_step_moves_its_photograph_towards_the_target():
    made = exposure()
    target = torch.stack([2 * image()[..., 0], image()[..., 1], 0.5 * image()[..., 2]], dim=-1)
    before = float((made.apply(image(), shot(0)) - target).detach().square().mean())
    (made.apply(image(), shot(0)) - target).square().mean().backward()
    made.step(None, gradients_of(made, 0))
    assert float((made.apply(image(), shot(0)) - target).detach().square().mean()) < before
    gain, _ = gain_and_offset(made, 0)
    assert gain[0] > 1 > gain[2] and gain[1] == pytest.approx(1)


@pytest.mark.slow
def test_photographs_have_individual_exposures():
    made = exposure()
    targets = [image() * gain for gain in (1.3, 1.0, 1 / 1.3)]
    losses = fit(made, targets, 900)
    assert sum(losses[-3:]) < 1e-3 * sum(losses[:3])
    for view, gain in enumerate((1.3, 1.0, 1 / 1.3)):
        torch.testing.assert_close(
            gain_and_offset(made, view)[0], torch.full((3,), gain).double(), atol=0.05, rtol=0
        )


def test_average_colours_are_unchanged():
    made = exposure()
    made.rates = Rates(exposure=0.05)
    fit(made, [image() * 2 + 0.1, image() * 3, image() * 0.5], 30)
    gains, offsets = zip(*(gain_and_offset(made, view) for view in range(VIEWS)), strict=True)
    torch.testing.assert_close(torch.stack(gains).log().mean(dim=0), torch.zeros(3).double())
    torch.testing.assert_close(torch.stack(offsets).mean(dim=0), torch.zeros(3).double())
    assert gains[1].min() > 1.1 > 0.9 > gains[2].max(), "the differences are learned"


def test_only_the_compared_photograph_updates_its_moments():
    made = exposure()
    fit(made, [image() * 2], 1)
    before = made.state_dict()["moments"].clone()
    assert before[:, 0].any() and not before[:, 1:].any()
    made.apply(image(), shot(1)).sum().backward()
    made.step(None, gradients_of(made, 1))
    after = made.state_dict()["moments"]
    assert torch.equal(after[:, 0], before[:, 0]), "other photographs are unchanged"
    assert after[:, 1].any() and not after[:, 2].any()


def test_saved_state_is_restored():
    targets = [image() * 2, image() * 0.5, image()]
    straight, stopped = exposure(), exposure()
    fit(straight, targets, 6)
    fit(stopped, targets, 3)
    saved = copy.deepcopy(stopped.state_dict())
    assert saved["step"] == 3
    resumed = Exposure(VIEWS, Rates(exposure=0.01))
    resumed.load_state_dict(saved)
    fit(resumed, targets, 3)
    for key, value in straight.state_dict().items():
        other = resumed.state_dict()[key]
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
