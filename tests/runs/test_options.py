"""Options survive a round trip through files, and unknown ones are named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import ConfigError
from sfumato.runs.run_options import CaptureOptions, RunOptions, check_same_run
from sfumato.training.config import Rates, TrainConfig

SOURCE = Path("config.json")
OPTIONS = RunOptions(
    Path("/data"),
    CaptureOptions(downscale=2, background=(0.0, 0.5, 1.0)),
    TrainConfig(minutes=1.5, seed=7, strategy="mcmc", rates=Rates(quats=0.5)),
    init=Path("scene.ply"),
)


def test_options_survive_json():
    assert RunOptions.from_plain(json.loads(json.dumps(OPTIONS.to_plain())), SOURCE) == OPTIONS


def _put(place, value):
    plain = json.loads(json.dumps(OPTIONS.to_plain()))
    *tables, name = place.split(".")
    table = plain
    for key in tables:
        table = table[key]
    table[name] = value
    return plain


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("train.rates.quats", "fast", r"option train\.rates\.quats has the value 'fast'"),
        ("train.rates.quats", True, r"train\.rates\.quats has the value 'True'"),
        ("train.rates.quats", float("inf"), "'inf'"),
        ("train.seed", 1.5, r"train\.seed has the value '1\.5'"),
        ("train.seed", None, "'None'"),
        ("train.strategy", "magic", "'magic'"),
        ("train.exposure", 1, r"train\.exposure"),
        ("train.sh_degree", 9, "sh_degree is 9"),
        ("train.rates", [1], "not a table"),
        ("train.novelty", 1, r"option train\.novelty is unknown"),
        ("capture.background", [0.0, 1.0], r"capture\.background"),
        ("init", 3, "init"),
        ("init", "a\0b", "init"),
        ("train.seed", 10**400, r"train\.seed has the value a huge number"),
        pytest.param("train.minutes", -(10**5000), r"train\.minutes has the value a huge number", id="huge"),
    ],
)
def test_invalid_options_are_named(place, value, words):
    with pytest.raises(ConfigError, match=words):
        RunOptions.from_plain(_put(place, value), SOURCE)


def test_an_option_of_a_later_version_takes_its_default_and_is_named(caplog):
    plain = OPTIONS.to_plain()
    del plain["train"]["mcmc"]["noise"], plain["capture"]["undistort"], plain["train"]["rates"]
    again = RunOptions.from_plain(plain, SOURCE)
    assert again == replace(OPTIONS, train=replace(OPTIONS.train, rates=Rates()))
    (said,) = caplog.messages
    assert "without capture.undistort, train.rates, train.mcmc.noise: defaults are taken" in said
    del plain["data"]
    with pytest.raises(ConfigError, match=r"option data is missing"):
        RunOptions.from_plain(plain, SOURCE)


@pytest.mark.parametrize("values", [None, [], 3, "options"])
def test_options_are_a_table(values):
    with pytest.raises(ConfigError, match="not a table of options"):
        RunOptions.from_plain(values, SOURCE)


@pytest.mark.parametrize(
    ("changed", "option"),
    [
        (replace(OPTIONS, capture=replace(OPTIONS.capture, downscale=4)), "--downscale is 4 .* has 2"),
        (replace(OPTIONS, train=replace(OPTIONS.train, sh_degree=1)), "--sh-degree is 1 .* has 3"),
        (
            replace(OPTIONS, train=replace(OPTIONS.train, rates=Rates(quats=0.25))),
            r"--rates\.quats is 0\.25 .* has 0\.5",
        ),
        (replace(OPTIONS, train=replace(OPTIONS.train, max_gaussians=9)), "--max-gaussians is 9 .* has None"),
    ],
)
def test_a_run_keeps_its_options(changed, option):
    with pytest.raises(ConfigError, match=option):
        check_same_run(OPTIONS, changed)


def test_a_run_may_change_its_length_and_place():
    longer = replace(OPTIONS.train, minutes=None, steps=10)
    check_same_run(OPTIONS, replace(OPTIONS, train=longer, checkpoint_every=3, data=Path("/elsewhere")))
