"""How the time of a reconstruction is spent."""

import math

import pytest

from sfumato.reconstruct import budget as module
from sfumato.reconstruct.budget import (
    CAMERAS_SHARE,
    LEAST_TRAINING_SHARE,
    PROBE_REFERENCE_S,
    Budget,
    downscale_for,
    frames_within,
    probe_s,
)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Two cores, and a clock that goes on when it is told."""

    class Clock:
        now = 100.0
        monotonic = staticmethod(lambda: Clock.now)

    monkeypatch.setattr(module, "time", Clock)
    monkeypatch.setattr(module.machine, "cores", lambda: 2)
    return Clock


def test_training_gets_what_is_left_after_the_results(clock):
    budget = Budget(10.0)
    clock.now += 120.0
    without, with_views = budget.training_minutes([]), budget.training_minutes([(1000, 1000)] * 20)
    assert budget.spent_s == 120.0 and 7.5 < without < 8.0
    assert without - with_views == pytest.approx(0.5)


def test_training_gets_its_least_share_however_long_the_cameras_took(clock):
    budget = Budget(10.0)
    clock.now += 1e4
    assert budget.training_minutes([]) == pytest.approx(10.0 * LEAST_TRAINING_SHARE)
    assert CAMERAS_SHARE + LEAST_TRAINING_SHARE < 1.0


def test_a_slower_machine_and_less_time_mean_fewer_frames(monkeypatch):
    many = frames_within(72.0, PROBE_REFERENCE_S)
    assert 60 < many < 200
    assert frames_within(36.0, PROBE_REFERENCE_S) == frames_within(72.0, 2 * PROBE_REFERENCE_S) == many // 2
    assert (frames_within(0.1, 1.0), frames_within(1e6, PROBE_REFERENCE_S)) == (20, 200)
    monkeypatch.setattr(module.machine, "cores", lambda: 4)
    assert frames_within(36.0, PROBE_REFERENCE_S) == many


@pytest.mark.parametrize(
    ("size_px", "minutes", "factor"),
    [((1080, 1920), 5.0, 3), ((1080, 1920), 10.0, 2), ((480, 360), 2.0, 1), ((720, 1280), 4.4, 2)],
)
def test_photographs_are_as_large_as_the_time_allows(size_px, minutes, factor):
    assert downscale_for(size_px, minutes) == factor
    assert downscale_for(size_px, 1e6) == 1
    assert math.prod(size_px) / downscale_for(size_px, 1e-6) ** 2 > 190**2


def test_the_probe_takes_little_time(monkeypatch):
    monkeypatch.undo()
    assert 0.001 < probe_s() < 10.0
