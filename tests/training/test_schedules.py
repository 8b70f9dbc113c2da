"""Schedules of a run: learning rates, picture sizes, SH degree, number of Gaussians."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.training.config import Rates, Schedule
from sfumato.training.schedules import (
    downscale_at,
    gaussians_allowed,
    log_linear,
    rate_of,
    refinement_is_due,
    sh_degree_at,
)

RATES = Rates(means_start=1e-2, means_end=1e-4, log_scales=0.5, cool_from=0.6, end_factor=0.01)
COOLED = [
    f.name for f in fields(Rates) if f.name not in ("means_start", "means_end", "cool_from", "end_factor")
]
SCHEDULE = Schedule(
    quarter_resolution_until=0.1,
    half_resolution_until=0.4,
    sh_raises=(0.2, 0.3, 0.6),
    refine_from=0.1,
    refine_until=0.7,
)
shares = st.floats(-0.5, 1.5)


@pytest.mark.parametrize(
    "progress, value", [(-1.0, 8.0), (0.0, 8.0), (0.5, 4.0), (0.25, 8 / 2**0.5), (1.0, 2.0), (2.0, 2.0)]
)
def test_exponential_decay(progress, value):
    assert log_linear(8.0, 2.0, progress) == pytest.approx(value)


def test_a_rate_of_zero_stays_zero():
    assert log_linear(0.0, 0.0, 0.0) == log_linear(0.0, 0.0, 0.5) == log_linear(0.0, 0.0, 1.0) == 0


@pytest.mark.parametrize("progress, rate", [(0.0, 1e-2), (0.5, 1e-3), (0.75, 10**-3.5), (1.0, 1e-4)])
def test_the_rate_of_means_decreases_from_the_start(progress, rate):
    assert rate_of(RATES, "means", progress) == pytest.approx(rate)


@pytest.mark.parametrize("progress, share", [(0.0, 1.0), (0.6, 1.0), (0.8, 0.1), (1.0, 0.01)])
@pytest.mark.parametrize("name", COOLED)
def test_every_other_rate_falls_at_the_end(name, progress, share):
    assert rate_of(RATES, name, progress) == pytest.approx(share * getattr(RATES, name))


def test_all_parameters_have_a_rate():
    wanted = {"log_scales", "quats", "logit_opacities", "sh_base", "sh_rest", "exposure"}
    assert set(COOLED) == wanted | {"pose_rotations", "pose_translations"}


@pytest.mark.parametrize("progress, factor", [(0.0, 4), (0.099, 4), (0.1, 2), (0.399, 2), (0.4, 1), (1.0, 1)])
def test_pictures_grow_from_a_quarter(progress, factor):
    assert downscale_at(SCHEDULE, progress) == factor


def test_pictures_can_have_full_size_from_the_start():
    whole = replace(SCHEDULE, quarter_resolution_until=0.0, half_resolution_until=0.0)
    assert downscale_at(whole, 0.0) == 1


@pytest.mark.parametrize(
    "progress, degree", [(0.0, 0), (0.199, 0), (0.2, 1), (0.299, 1), (0.3, 2), (0.6, 3), (1.0, 3)]
)
def test_the_degree_rises_to_the_highest(progress, degree):
    for highest in range(4):
        assert sh_degree_at(SCHEDULE, highest, progress) == min(degree, highest)


@given(start=st.integers(1, 10**6), more=st.integers(0, 10**7), first=shares, second=shares)
def test_the_number_allowed_never_falls_and_stays_in_its_range(start, more, first, second):
    early, late = sorted((first, second))
    counts = [gaussians_allowed(SCHEDULE, start, start + more, progress) for progress in (early, late)]
    assert start <= counts[0] <= counts[1] <= start + more
    assert all(isinstance(count, int) for count in counts)


@pytest.mark.parametrize("progress, count", [(0.0, 100), (0.1, 100), (0.4, 850), (0.7, 1100), (1.0, 1100)])
def test_most_of_the_growth_comes_early(progress, count):
    assert gaussians_allowed(SCHEDULE, 100, 1100, progress) == count


def test_a_cap_below_the_start_removes_no_gaussians():
    assert gaussians_allowed(SCHEDULE, 100, 10, 0.5) == 100


@pytest.mark.parametrize(
    "steps, every",
    [(1, 100), (500, 100), (2000, 100), (3999, 100), (4000, 200), (6000, 200), (8000, 400), (30000, 800)],
)
def test_densifications_are_a_share_of_long_runs_apart(steps, every):
    schedule = Schedule(refine_every=100, refine_share=0.05)
    due = [step for step in range(1, steps + 1) if refinement_is_due(schedule, step, steps + 1e-9)]
    assert due == list(range(every, steps + 1, every))


def test_without_a_share_densifications_are_a_number_of_steps_apart():
    schedule = Schedule(refine_every=7, refine_share=0.0)
    due = [step for step in range(1, 5000) if refinement_is_due(schedule, step, 5000)]
    assert due == list(range(7, 5000, 7))
