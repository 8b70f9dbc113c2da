"""Leaving Gaussians out of a step."""

import pytest
import torch
from crowd import NAMES, crowd

from sfumato.train.dropout import thinned


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_share_is_left_out_and_the_odds_of_the_rest_rise():
    share, everyone = 0.25, crowd([0.2] * 8000, dtype=torch.float64)
    opacities = thinned(everyone, share, seeded()).opacities
    # Odds of 1 to 4 become 1 to 3.
    present = opacities > 0.1
    assert torch.allclose(opacities[present], torch.tensor(0.25, dtype=torch.float64))
    assert (opacities[~present] < 1e-12).all()
    assert present.double().mean().item() == pytest.approx(1 - share, abs=4 * (0.25 * 0.75 / 8000) ** 0.5)


def test_faint_ones_are_as_opaque_as_before_in_the_mean():
    faint = crowd([0.01] * 20000, dtype=torch.float64)
    mean = thinned(faint, 0.5, seeded()).opacities.mean().item()
    assert mean == pytest.approx(0.01, rel=0.04)


def test_nothing_else_changes():
    before = crowd([0.2] * 20)
    after = thinned(before, 0.5, seeded())
    for name in set(NAMES) - {"logit_opacities"}:
        assert getattr(after, name) is getattr(before, name)


def test_without_a_share_the_scene_is_the_same_and_no_random_number_is_drawn():
    generator, everyone = seeded(), crowd([0.2] * 5)
    assert thinned(everyone, 0.0, generator) is everyone
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_those_left_out_get_no_gradient():
    everyone = crowd([0.2] * 50).map(lambda t: t.requires_grad_())
    opacities = thinned(everyone, 0.5, seeded()).opacities
    opacities.sum().backward()
    assert torch.equal(everyone.logit_opacities.grad > 0, opacities.detach() > 0.1)
    assert torch.equal(everyone.logit_opacities.grad == 0, opacities.detach() <= 0.1)


def test_a_seed_decides_who_is_left_out():
    everyone = crowd([0.2] * 100)
    first, again, other = (thinned(everyone, 0.5, seeded(s)).opacities for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
