"""A run by time reduces photographs to a size for which the time is enough."""

import json

import pytest

from sfumato.display import Display
from sfumato.runs import reduction
from sfumato.runs.run_options import RunOptions
from sfumato.training.config import TrainConfig
from support.commands import train

pytestmark = pytest.mark.slow

MINUTES = ("--minutes", "0.002")


@pytest.fixture
def halved(monkeypatch):
    """Half the size is chosen, whatever the time; the minutes for which it was asked."""
    asked = []
    monkeypatch.setattr(reduction, "downscale_for", lambda size_px, minutes: asked.append(minutes) or 2)
    return asked


def options_of(out):
    return json.loads((out / "config.json").read_text())["options"]


def test_a_run_by_time_is_reduced_and_says_so(data, tmp_path, halved, capsys):
    out = tmp_path / "run"
    assert train(data, out, *MINUTES) == 0 and halved == [0.002]
    options = options_of(out)
    assert options["capture"]["downscale"] == 2 and options["train"]["native_blur"] is True
    assert "to fit the time; --downscale 1 keeps their size" in capsys.readouterr().out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["native"]["psnr"] > 0
    before = (out / "scene.ply").read_bytes()
    assert train(data, out, *MINUTES) == 0 and halved == [0.002]
    assert (out / "scene.ply").read_bytes() == before
    assert train(data, out, *MINUTES, "--downscale", "1") == 2
    assert "--downscale 2 there, 1 now" in capsys.readouterr().err


def test_a_run_resumes_with_the_reduction_it_began_with(data, tmp_path, halved, monkeypatch):
    out = tmp_path / "run"
    assert train(data, out, *MINUTES) == 0
    monkeypatch.setattr(reduction, "downscale_for", lambda *_: 1)
    assert train(data, out, "--resume", "--minutes", "0.004") == 0
    assert options_of(out)["capture"]["downscale"] == 2
    assert train(data, out, *MINUTES, "--overwrite") == 0
    assert options_of(out)["capture"]["downscale"] == 1


@pytest.mark.parametrize(
    "words", [("--steps", "2"), (*MINUTES, "--downscale", "1")], ids=["steps", "downscale"]
)
def test_steps_and_a_given_size_are_kept(data, tmp_path, halved, words):
    assert train(data, tmp_path / "run", *words) == 0
    options = options_of(tmp_path / "run")
    assert options["capture"]["downscale"] == 1 and options["train"]["native_blur"] is False


def test_the_ray_tracer_has_no_blur(data, halved):
    options = RunOptions(data, train=TrainConfig(minutes=1, renderer="trace"))
    found, capture = reduction.reduced_to_fit(options, options.read_capture(), Display(), 1.0)
    assert found.train == options.train and found.capture.downscale == 2
    size_px = capture.original_size_px
    assert capture.views[0].camera.size_px == (size_px[0] // 2, size_px[1] // 2)


def test_photographs_that_fit_the_time_keep_their_size(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", *MINUTES) == 0
    assert options_of(tmp_path / "run")["capture"]["downscale"] == 1
    assert "photographs are reduced" not in capsys.readouterr().out
