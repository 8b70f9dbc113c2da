"""Parameters and the moments of Adam are rearranged together."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.training.colour_form import RATE
from sfumato.training.config import Rates, TrainConfig
from sfumato.training.part import Gradients
from sfumato.training.population import Population
from support.crowd import NAMES, crowd, moments_come_from, numbers, population, same
from support.steps import context


def test_a_new_population_has_leaves_and_zero_moments():
    made = Population.starting_with(crowd([0.1, 0.2]))
    assert len(made) == 2
    assert same(made.gaussians.detach(), crowd([0.1, 0.2]))
    for name in NAMES:
        parameter = made.parameters[name]
        leaf, first, second = parameter.values, parameter.exp_avg, parameter.exp_avg_sq
        assert leaf.is_leaf and leaf.requires_grad
        assert not first.any() and not second.any() and not first.requires_grad
        first += 1
        assert not second.any(), "the two moments are two tensors"


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12),
    name=st.sampled_from(NAMES),
)
def test_moments_follow_their_rows_and_are_zero_for_new_ones(rows, name):
    crowded = population([0.5] * 5)
    old = crowded.gaussians.detach()
    source = torch.tensor([row for row, _ in rows], dtype=torch.int64)
    fresh = torch.tensor([new for _, new in rows], dtype=torch.bool)
    crowded.rearrange(source, fresh, old.select(source))
    assert len(crowded) == len(rows)
    assert numbers(crowded.gaussians) == source.tolist()
    assert moments_come_from(crowded, name) == [-1 if new else row for row, new in rows]


def test_a_rearrangement_takes_the_values_it_is_given():
    crowded, values = population([0.5] * 3), crowd([0.9, 0.8], 0.2)
    crowded.rearrange(torch.tensor([2, 2]), torch.tensor([False, True]), values)
    assert same(crowded.gaussians.detach(), values)
    crowded.gaussians.opacities.sum().backward()
    torch.testing.assert_close(crowded.gaussians.logit_opacities.grad, torch.tensor([0.09, 0.16]))


def test_rows_with_the_same_source_have_separate_moments():
    crowded = population([0.5])
    crowded.rearrange(torch.tensor([0, 0]), torch.zeros(2, dtype=torch.bool), crowd([0.5, 0.5]))
    moment = crowded.parameters["means"].exp_avg
    moment[0] = 7.0
    assert (moment[1] == 1.0).all()


@pytest.mark.parametrize("name", NAMES)
def test_moments_of_one_field_can_be_reset(name):
    crowded = population([0.5] * 3)
    crowded.forget(name)
    for other in NAMES:
        assert moments_come_from(crowded, other) == ([-1, -1, -1] if other == name else [0, 1, 2])


def test_saved_state_is_restored():
    crowded = population([0.5, 0.9], [0.1, 0.2])
    saved = copy.deepcopy(crowded.state_dict())
    assert not any(t.requires_grad for part in saved.values() for t in part.values())
    back = Population.from_state_dict(saved)
    for name in NAMES:
        one, other = back.parameters[name], crowded.parameters[name]
        assert torch.equal(one.values, other.values) and one.values.requires_grad
        assert torch.equal(one.exp_avg, other.exp_avg) and torch.equal(one.exp_avg_sq, other.exp_avg_sq)


@pytest.mark.parametrize("colour", ["sh", "sh-sigmoid"])
@pytest.mark.parametrize("degree", [0, 1])
def test_sh_base_and_sh_rest_have_their_own_learning_rates(colour, degree):
    """The first step of Adam is as long as the rate, whatever the gradient; rows not seen stay."""
    made = Population.starting_with(crowd([0.5, 0.5]))
    before = made.gaussians.sh.detach().clone()
    found = Gradients(
        context(step=1, progress=0.0, sh_degree=degree),
        views=(0,),
        loss=torch.zeros(()),
        of_gaussians={"sh": torch.full((2, 4, 3), -0.7)},
        of_parts={},
        visible=torch.tensor([1, 0], dtype=torch.int32),
        screen_gradient=None,
    )
    made.descend(found, TrainConfig(steps=1, colour=colour, rates=Rates(sh_base=0.2, sh_rest=0.01)))
    wanted = torch.zeros(2, 4, 3)
    wanted[0, 0], wanted[0, 1:] = 0.2, 0.01 * degree
    torch.testing.assert_close(made.gaussians.sh.detach() - before, RATE[colour] * wanted)
