"""Invalid values of options with choices are refused, in every record of options."""

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from repository import PACKAGE
from sfumato.choices import check_choices
from sfumato.errors import ConfigError
from sfumato.runs.run_options import CaptureOptions
from sfumato.sfm.config import SfmConfig
from sfumato.training.config import TrainConfig

RECORDS = (TrainConfig, SfmConfig, CaptureOptions)
LIMITED = [
    (kind, field.name)
    for kind in RECORDS
    for field in fields(kind)
    if get_origin(get_type_hints(kind)[field.name]) is Literal
]


@pytest.mark.parametrize(("kind", "name"), LIMITED)
def test_every_limited_option_is_checked(kind, name):
    choices = get_args(get_type_hints(kind)[name])
    for choice in choices:
        if choice != "trace":
            assert getattr(replace(kind(), **{name: choice}), name) == choice
    for wrong in ("mine", "", None, 3, choices[0].upper() + " "):
        with pytest.raises(ConfigError, match=rf"{name} is .*; give {choices[0]}, .*| or {choices[-1]}"):
            replace(kind(), **{name: wrong})


def test_optional_choices_and_numbers():
    @dataclass(frozen=True)
    class Options:
        degree: Literal[0, 1, 2] | None = None
        free: str = "x"

    globals()["Options"] = Options
    for good in (Options(), Options(1), Options(free="y")):
        check_choices(good)
    for wrong in (True, 3, "1", 1.0):
        with pytest.raises(ConfigError, match=r"a\.degree is .*; give 0, 1, 2 or None"):
            check_choices(Options(wrong), "a.")


def test_no_record_of_options_is_forgotten():
    """Arguments of commands are checked by the parser."""
    homes = {path for path in PACKAGE.rglob("*.py") if "Literal[" in path.read_text("utf-8")}
    homes -= set((PACKAGE / "cli").glob("*.py"))
    names = {path.relative_to(PACKAGE).as_posix() for path in homes}
    assert names == {
        "training/config.py",
        "runs/run_options.py",
        "sfm/config.py",
        # Arguments of functions, checked there.
        "capture/dataset.py",
        "capture/multiview/load_rig.py",
        "sequences/load_sequence.py",
        "scene/shutter.py",
        # Created only by the program itself.
        "edit/parameters.py",
        "blocks/block_task.py",
    }
