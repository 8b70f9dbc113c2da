"""Gaussians that are born exist from the step in which something was first missing."""

import pytest
import torch

from sfumato.maths.quaternions import quat_product, rotation_from_quats
from sfumato.tracking import before_birth
from sfumato.tracking.before_birth import carried_before_birth, extended_before_birth
from sfumato.tracking.track_state import MISSING_STEPS
from support.moving_scenes import SIZE_PX, cameras

TURN = torch.tensor([[0.98, 0.1, -0.1, 0.05]], dtype=torch.float64)
TURN = TURN / TURN.norm()
SHIFT = torch.tensor([0.05, 0.02, -0.01], dtype=torch.float64)
STEPS = 8


def screw(count, born, seed=0):
    """[t, m, 3] means, with NaN before birth and the truth in all steps, and [t, m, 4] quaternions."""
    torch.manual_seed(seed)
    means, quats = [torch.rand(count, 3).double()], [torch.tensor([[1.0, 0, 0, 0]]).double().expand(count, 4)]
    for _ in range(STEPS - 1):
        centre = means[-1].mean(0)
        means.append((means[-1] - centre) @ rotation_from_quats(TURN)[0].T + centre + SHIFT)
        quats.append(quat_product(TURN.expand(count, 4), quats[-1]))
    true = torch.stack(means).float(), torch.stack(quats).float()
    seen = tuple(values.clone() for values in true)
    for values in seen:
        values[:born] = torch.nan
    return *seen, true


def extended(means, quats, birth):
    return extended_before_birth(means, quats, birth, torch.full((len(birth),), 0.9), 20)


def test_the_motion_after_birth_is_continued_backwards():
    means, quats, (true_means, true_quats) = screw(60, born=5)
    first = extended(means, quats, torch.full((60,), 5))
    start = 5 - MISSING_STEPS + 1
    assert (first == start).all()
    assert means[:start].isnan().all() and quats[:start].isnan().all()
    torch.testing.assert_close(means[start:], true_means[start:], atol=1e-5, rtol=0)
    torch.testing.assert_close(quats[start:], true_quats[start:], atol=1e-5, rtol=0)


def test_several_steps_back(monkeypatch):
    monkeypatch.setattr(before_birth, "MISSING_STEPS", 4)
    means, quats, (true_means, _) = screw(60, born=5)
    assert (extended(means, quats, torch.full((60,), 5)) == 2).all()
    torch.testing.assert_close(means[2:], true_means[2:], atol=1e-5, rtol=0)


def test_only_what_was_born_and_lasts_is_extended_and_never_to_the_first_step():
    parts = {0: screw(60, 0), 2: screw(50, 2, seed=1), 7: screw(40, 7, seed=2), 4: screw(45, 4, seed=3)}
    for values in parts[4][:2]:
        values[5:] = torch.nan
    means, quats = (torch.cat([part[k] for part in parts.values()], dim=1) for k in (0, 1))
    birth = torch.cat([torch.full((part[0].shape[1],), born) for born, part in parts.items()])
    before = means.clone()
    first = extended(means, quats, birth)
    # One step has no motion, whether the run or the Gaussian ends then.
    assert {born: set(first[birth == born].tolist()) for born in parts} == {0: {0}, 2: {1}, 7: {7}, 4: {4}}
    changed = (means.isnan() != before.isnan()).any(2)
    assert torch.nonzero(changed.any(1))[:, 0].tolist() == [1]


def carried(moves_from, first):
    """A body of which some Gaussians were born later, and those carried back while something moves."""
    means, quats, true = screw(60, 0)
    for values in (means, quats):
        for row, step in enumerate(first.tolist()):
            values[:step, row] = torch.nan

    def moving_at(step):
        mask = torch.full((SIZE_PX[1], SIZE_PX[0]), step >= moves_from)
        return [(camera, mask) for camera in cameras(4)]

    found = carried_before_birth(means, quats, first, torch.full((60,), 0.9), 20, moving_at)
    return means, quats, found, true


@pytest.mark.parametrize(("moves_from", "start"), [(3, 3), (0, 1)])
def test_gaussians_born_later_are_carried_back_with_their_body(moves_from, start):
    late = torch.arange(60) % 3 == 0
    means, quats, first, (true_means, true_quats) = carried(moves_from, torch.where(late, 6, 0))
    assert (first[late] == start).all() and (first[~late] == 0).all()
    assert means[:start, late].isnan().all() and quats[:start, late].isnan().all()
    torch.testing.assert_close(means[start:], true_means[start:], atol=1e-5, rtol=0)
    nearer = (quats * true_quats).sum(2, keepdim=True).sign()
    torch.testing.assert_close((nearer * quats)[start:], true_quats[start:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("first", [torch.full((60,), 6), torch.where(torch.arange(60) < 4, 2, 6)])
def test_without_enough_older_gaussians_nothing_is_carried_back(first):
    means, _, found, _ = carried(0, first)
    assert torch.equal(found, first) and means[:2].isnan().all()


def test_older_gaussians_carry_no_farther_than_they_exist():
    late = torch.arange(60) % 3 == 0
    means, _, found, _ = carried(0, torch.where(late, 6, 4))
    assert (found == 4).all() and means[:4].isnan().all()
