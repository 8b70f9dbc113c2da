"""A run by time reduces photographs to a size for which the time is enough."""

import json

import pytest

from sfumato.runs import reduction
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
    ("words", "downscale", "native_blur"),
    [
        (("--steps", "2"), 1, False),
        ((*MINUTES, "--downscale", "1"), 1, False),
        ((*MINUTES, "--renderer", "trace"), 2, False),
    ],
)
def test_steps_and_a_given_size_are_kept(data, tmp_path, halved, words, downscale, native_blur):
    assert train(data, tmp_path / "run", *words) == 0
    options = options_of(tmp_path / "run")
    assert options["capture"]["downscale"] == downscale
    assert options["train"]["native_blur"] is native_blur


def test_photographs_that_fit_the_time_keep_their_size(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", *MINUTES) == 0
    assert options_of(tmp_path / "run")["capture"]["downscale"] == 1
    assert "photographs are reduced" not in capsys.readouterr().out
