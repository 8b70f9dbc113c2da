"""Options that differ from the defaults, formatted as command-line arguments."""

from dataclasses import replace
from pathlib import Path

from sfumato.cli.arguments import parse
from sfumato.cli.train import TrainCommand
from sfumato.runs.run_options import CaptureOptions, RunOptions
from sfumato.training.config import AdcConfig, TrainConfig


def test_what_was_changed_is_read_back():
    train = TrainConfig(
        steps=20, exposure=True, random_background=False, frozen=("means", "quats"), native_blur=True
    )
    train = replace(train, adc=AdcConfig(absolute_gradient=False, threshold=2e-4))
    capture = CaptureOptions(downscale=2, background=(0.0, 0.5, 1.0), undistort=False)
    options = RunOptions(Path("data"), capture, train, init=Path("a scene.ply"), checkpoint_every=7)
    given = parse(TrainCommand, "train", ["data", "-o", "run", *options.changed()])
    assert given.run_options() == options


def test_default_options_are_omitted():
    assert RunOptions(Path("data")).changed() == []
