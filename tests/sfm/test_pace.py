"""The number of pictures within a time budget, with a simulated clock."""

import math
from dataclasses import replace

import pytest

from sfumato.sfm import pace as module
from sfumato.sfm.pace import PROBE_REFERENCE_S, Costs, Pace, Thinning, frames_within, most_within, probe_s


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def used(pictures, minutes, seconds_per_picture, *, costs=None, fewest=20):
    """Number of pictures that two processes handle before time is up, and the pace."""
    clock = Clock()
    pace = Pace(minutes, clock)
    thinning = Thinning(pace, costs or Costs(), fewest)
    begun = done = 0
    while begun < pictures and not thinning.is_enough(begun, done):
        begun += 2
        clock.now += 2 * seconds_per_picture(clock.now - 100.0)
        if begun > 2:
            done += 2
            thinning.note(done)
    return begun, pace


def test_without_a_limit_all_pictures_are_used():
    begun, pace = used(5000, None, lambda now: 100.0)
    assert begun == 5000 and not pace.is_limited and math.isinf(pace.budget)


def test_as_many_pictures_are_used_as_time_allows():
    costs = Costs()
    quiet, pace = used(2000, 2.0, lambda now: costs.features)
    assert 100 < quiet < 300 and costs.from_features(quiet) == pytest.approx(120.0, rel=0.05)
    assert pace.slowness == pytest.approx(1.0)
    busy, pace = used(2000, 2.0, lambda now: 4 * costs.features)
    assert 40 < busy < 0.5 * quiet and 4 * costs.from_features(busy) == pytest.approx(120.0, rel=0.1)
    assert pace.slowness == pytest.approx(4.0)
    assert used(2000, 0.1, lambda now: 4 * costs.features)[0] == 20
    assert used(50, 2.0, lambda now: costs.features)[0] == 50


def test_slowness_is_measured_beyond_the_end():
    _, pace = used(2000, 0.1, lambda now: 20 * Costs().features)
    assert pace.left_s == 0.0 and pace.slowness == pytest.approx(20.0)


def test_a_machine_that_becomes_busy_is_noticed():
    costs = Costs()
    quiet, _ = used(2000, 2.0, lambda now: costs.features)
    begun, _ = used(2000, 2.0, lambda now: costs.features * (1 if now < 5 else 6))
    assert begun < 0.7 * quiet


def test_the_start_of_processes_does_not_count_as_slowness():
    costs = Costs()
    quiet, _ = used(2000, 2.0, lambda now: costs.features)
    begun, pace = used(2000, 2.0, lambda now: 5.0 if now == 0 else costs.features)
    assert pace.slowness == pytest.approx(1.0) and begun > 0.85 * quiet


def test_large_photographs_and_fine_features_cost_more():
    small, large, shrunk = (
        Costs.of((640, 360), 2400),
        Costs.of((4000, 3000), 2400),
        Costs.of((4000, 3000), 1600),
    )
    assert small.whole(50) < shrunk.whole(50) < large.whole(50)
    fine = small.finer(3 * small.features)
    assert fine.from_features(50) > 2.5 * small.from_features(50)
    assert replace(fine, writing=0.0).from_features(50) == pytest.approx(
        3 * replace(small, writing=0.0).from_features(50)
    )


def test_stages_leave_time_for_later_stages():
    pace, costs = Pace(2.0, Clock()), Costs()
    pace.slowness = 2.0
    pairs, cameras = pace.until_s(costs.until_written(100)), pace.until_s(100 * costs.writing)
    assert pairs < cameras < pace.end_s == 220.0
    assert pace.end_s - pairs == pytest.approx(2.0 * costs.until_written(100))


def test_the_largest_number_within_a_budget():
    assert most_within(10.0, lambda n: 3.0 * n) == 3 and most_within(2.0, lambda n: 3.0 * n) == 0
    assert most_within(1e30, lambda n: n, most=7) == 7


def test_less_time_means_fewer_frames_of_a_video():
    assert 60 < frames_within(72.0) < 200 and frames_within(36.0) == frames_within(72.0) // 2
    assert (frames_within(0.1), frames_within(1e6)) == (20, 200)


@pytest.mark.slow
def test_the_probe_measures_the_speed_of_the_machine(monkeypatch):
    assert 0.001 < probe_s() < 60.0
    monkeypatch.setattr(module, "probe_s", lambda: 3 * PROBE_REFERENCE_S)
    monkeypatch.setattr(module.machine, "cores", lambda: 4)
    unlimited, limited = Pace(None), Pace(1.0)
    unlimited.probe()
    limited.probe()
    assert unlimited.slowness == 1.0 and limited.slowness == pytest.approx(1.5)
