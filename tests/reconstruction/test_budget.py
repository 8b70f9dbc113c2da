"""The time budget of a reconstruction."""

import pytest

from sfumato.reconstruction import budget as module
from sfumato.reconstruction.budget import CAMERAS_SHARE, LEAST_TRAINING_SHARE, Budget


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that is advanced manually."""

    class Clock:
        now = 100.0
        monotonic = staticmethod(lambda: Clock.now)

    monkeypatch.setattr(module, "time", Clock)
    return Clock


def test_training_gets_what_is_left_after_the_results(clock):
    budget = Budget(10.0)
    clock.now += 120.0
    without, with_views = budget.training_minutes(0.0), budget.training_minutes(30.0)
    assert budget.spent_s == 120.0 and 7.5 < without < 8.0
    assert without - with_views == pytest.approx(0.5)
    # Training and the comparison after it end before the budget does, to leave time for writing results.
    assert clock.now + 60 * with_views + 30.0 == pytest.approx(budget.compared_until_s)
    assert 100.0 + 580.0 < budget.compared_until_s < 100.0 + 600.0


def test_comparing_very_many_views_leaves_most_of_the_time_to_training(clock):
    budget = Budget(10.0)
    assert budget.training_minutes(1e6) > 0.7 * 10.0


def test_training_gets_a_minimum_share_of_the_time(clock):
    budget = Budget(10.0)
    clock.now += 1e4
    assert budget.training_minutes(0.0) == pytest.approx(10.0 * LEAST_TRAINING_SHARE)
    assert CAMERAS_SHARE + LEAST_TRAINING_SHARE < 1.0
