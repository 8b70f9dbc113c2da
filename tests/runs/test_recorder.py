"""Reports, displayed metrics, and detection of divergence."""

import io
import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from sfumato import display as display_module
from sfumato.display import Display
from sfumato.errors import SfumatoError
from sfumato.runs import recorder as module
from sfumato.runs.folder import EventLog
from sfumato.runs.recorder import HeldOutPsnr, ProgressFigures, Recorder
from sfumato.training import loop
from sfumato.training.population import Population
from sfumato.training.step import StepStats
from support.capture_folders import colmap_folder
from support.tiny import tiny_config, tiny_start

QUALITY = HeldOutPsnr(28.125, 4)
FIGURES = ProgressFigures(0.25, "25/100 steps", 12.5, 0.0321, 12345, (480, 270), QUALITY, 75.0)


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, height=20)


def test_a_run_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_REPORT_EVERY_S", 0.0)
    monkeypatch.setattr(module, "PREVIEW_SHARE", 1e9)
    monkeypatch.setattr(display_module, "_PLAIN_EVERY_S", 0.0)
    config = tiny_config()
    capture, state = tiny_start(colmap_folder(tmp_path / "data"), config)
    began_with = len(state.population)
    screen = console(False)
    log = EventLog(tmp_path / "events.jsonl")
    recorder = Recorder(config, log, Display(screen), capture.test_views, (32, 24))
    loop.train(capture, state, (recorder,))
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert events[-1]["step"] == 20 and all(
        {"step", "loss", "seconds", "gaussians"} <= set(e) for e in events
    )
    assert 5 < sum("psnr" in event for event in events) < 20
    assert events[0]["gaussians"] == began_with < events[-1]["gaussians"]
    shown = screen.file.getvalue()
    assert "20/20 steps" in shown and "steps/s" in shown and "dB on 1 view" in shown


def test_reports_contain_the_number_of_views(tmp_path):
    config = tiny_config()
    names = [f"{i:02}.png" for i in range(40)]
    capture, state = tiny_start(colmap_folder(tmp_path / "data", names=names), config)
    recorder = Recorder(config, EventLog(tmp_path / "events.jsonl"), Display(), capture.test_views, (32, 24))
    scores = [SimpleNamespace(name=view.name, psnr=20.0 + i) for i, view in enumerate(capture.test_views)]
    recorder.finish(state, SimpleNamespace(views=scores, psnr=22.0))
    event = json.loads((tmp_path / "events.jsonl").read_text())
    # Every second of the five held-out views is evaluated.
    assert (event["psnr"], event["psnr_views"]) == (22.0, 3)
    assert (event["psnr_all"], event["psnr_all_views"]) == (22.0, 5)
    scores[1].psnr, scores[2].psnr = 50.0, float("nan")
    recorder.finish(state, SimpleNamespace(views=scores, psnr=None))
    event = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert (event["psnr"], event["psnr_views"]) == (22.0, 2) and "psnr_all" not in event


@dataclass
class Clock:
    now: float = 0.0

    def monotonic(self):
        return self.now

    perf_counter = monotonic


def test_evaluation_during_training_takes_little_time(tmp_path, monkeypatch):
    time = Clock()
    monkeypatch.setattr(module, "time", time)
    capture, state = tiny_start(colmap_folder(tmp_path), tiny_config())
    previews = module.HeldOutPreviews(capture.test_views, tiny_config())

    def slow(gaussians, settings):
        time.now += 0.5
        return lambda camera: torch.full((*camera.size_px[::-1], 3), 0.5)

    monkeypatch.setattr(module, "drawn", slow)
    for step in range(1000):
        state.step, state.seconds = step, 0.1 * step
        found = previews.measure(state, step / 1000)
        assert found is None or found.views == 1
    assert 0.01 * 100 < time.now <= module.PREVIEW_SHARE * 100


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_divergence_stops_the_run(tmp_path, loss):
    config = tiny_config()
    _, state = tiny_start(colmap_folder(tmp_path), config)
    recorder = Recorder(config, EventLog(tmp_path / "events.jsonl"), Display(), (), (32, 24))
    with pytest.raises(SfumatoError, match="training diverged at step 0: the loss is"):
        recorder(state, StepStats(loss, 5, 5, None))


def test_a_scene_that_was_pruned_away_stops_the_run(tmp_path):
    config = tiny_config()
    _, state = tiny_start(colmap_folder(tmp_path), config)
    none = torch.zeros(len(state.population), dtype=torch.bool)
    state.population = Population.starting_with(state.gaussians.select(none))
    recorder = Recorder(config, EventLog(tmp_path / "events.jsonl"), Display(), (), (32, 24))
    with pytest.raises(SfumatoError, match="no Gaussians are left after step 0"):
        recorder(state, StepStats(0.1, 0, 0, None))


def test_figures_have_units():
    words = " · ".join(FIGURES.words())
    assert words == (
        "28.1 dB on 4 views · 12,345 Gaussians · 25/100 steps · 12.5 steps/s · 480x270 · loss 0.0321"
    )
