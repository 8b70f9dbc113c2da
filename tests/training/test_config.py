"""Invalid options are refused by name before any file is read."""

import pytest

from sfumato.errors import ConfigError
from sfumato.training.config import AdcConfig, Rates, Schedule, TrainConfig


@pytest.mark.parametrize(
    ("part", "values", "named"),
    [
        (Rates, {"cool_from": 1.0}, "rates.cool_from"),
        (Rates, {"cool_from": -0.1}, "rates.cool_from"),
        (Rates, {"quats": -1.0}, "rates.quats"),
        (Rates, {"sh_rest": float("nan")}, "rates.sh_rest"),
        (Rates, {"log_scales": float("inf")}, "rates.log_scales"),
        (Rates, {"means_end": 0.0}, "means_end"),
        (Rates, {"end_factor": 0.0}, "end_factor"),
        (Schedule, {"refine_from": 0.5, "refine_until": 0.5}, "schedule.refine_from"),
        (Schedule, {"refine_until": 1.5}, "refine_until"),
        (Schedule, {"refine_every": 0}, "schedule.refine_every"),
        (Schedule, {"settle_from": 1.1}, "schedule.settle_from"),
        (AdcConfig, {"prune_opacity": 0.5}, "adc.prune_opacity"),
        (AdcConfig, {"opacity_end_factor": 0.0}, "adc.opacity_end_factor"),
        (TrainConfig, {"steps": 0}, "steps"),
        (TrainConfig, {"steps": 3, "minutes": 1.0}, "steps and minutes"),
        (TrainConfig, {"minutes": float("nan")}, "minutes"),
        (TrainConfig, {"max_gaussians": 0}, "max_gaussians"),
        (TrainConfig, {"ssim_weight": 1.1}, "ssim_weight"),
        (TrainConfig, {"sh_degree": 4}, "sh_degree"),
        (TrainConfig, {"clearance": 1.0}, "clearance"),
    ],
)
def test_out_of_range(part, values, named):
    with pytest.raises(ConfigError, match=named) as raised:
        part(**values)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", [Rates, Schedule, AdcConfig, TrainConfig])
def test_the_defaults_are_in_range(part):
    part()


def test_the_ends_of_a_range_are_in_it():
    Rates(cool_from=0.0, exposure=0.0)
    Schedule(refine_from=0.0, refine_until=1.0, refine_every=1, settle_from=1.0)
    TrainConfig(steps=1, ssim_weight=1.0, sh_degree=0, clearance=0.0)
