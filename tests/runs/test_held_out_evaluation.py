"""Evaluation of held-out views at training size and at native size."""

import json

import pytest

from sfumato import evaluate, load, load_capture
from sfumato.cli import main
from sfumato.display import Display
from sfumato.render.settings import RasterSettings
from sfumato.runs import held_out_evaluation as module
from sfumato.runs.held_out_evaluation import EvaluationOptions, evaluate_held_out, seconds_to_evaluate
from sfumato.training.config import TrainConfig
from sfumato.training.start import gaussians_from_points
from support.capture_folders import colmap_folder
from support.commands import train

NAMES = tuple(f"{i:02}.png" for i in range(12))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Twelve photographs of 32x24, reduced to 16x12; every second one is held out."""
    return load_capture(
        colmap_folder(tmp_path_factory.mktemp("small"), names=NAMES), downscale=2, test_every=2
    )


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by one second at every reading."""

    class Clock:
        now = 100.0

        @staticmethod
        def monotonic():
            Clock.now += 1.0
            return Clock.now

    monkeypatch.setattr(module, "time", Clock)
    return Clock


def compared(capture, tmp_path, **how):
    scene = gaussians_from_points(capture.points)
    return scene, evaluate_held_out(
        scene, capture, TrainConfig(), tmp_path, Display(), EvaluationOptions(**how)
    )


def test_native_scores_are_those_of_the_original_photographs(small, tmp_path):
    scene, found = compared(small, tmp_path)
    own = load_capture(small.path, test_every=2)
    expected = evaluate(scene, own.test_views, RasterSettings())
    assert (found.report.size_px, found.native.size_px) == ((16, 12), (32, 24))
    assert found.native.psnr == pytest.approx(expected.psnr, abs=1e-6)
    assert found.native.ssim == pytest.approx(expected.ssim, abs=1e-6)
    assert found.report.psnr != pytest.approx(found.native.psnr, abs=1e-3)
    assert compared(own, tmp_path)[1].native.views == evaluate(scene, own.test_views, RasterSettings()).views


def test_within_a_budget_some_are_compared_and_the_others_named(small, tmp_path):
    _, found = compared(small, tmp_path, most_native=3)
    assert [view.name for view in found.native.views] == ["00.png", "04.png", "08.png"]
    assert set(found.native.left_out) == {"02.png", "06.png", "10.png"}
    assert len(found.report.views) == 6 and not found.report.left_out


def test_when_time_is_over_one_view_is_compared_at_native_size(small, tmp_path, clock, monkeypatch):
    monkeypatch.setattr(module, "_LEAST_EVALUATED", 2)
    _, found = compared(small, tmp_path, until_s=0.0)
    assert (len(found.native.views), len(found.report.views)) == (1, 2)
    _, found = compared(small, tmp_path, until_s=clock.now + 10.0)
    assert 1 < len(found.native.views) < 6 and 2 <= len(found.report.views) < 6


def test_the_reserve_counts_views_at_native_size(small, clock):
    """Every reading of the clock advances it, which reveals the counted views."""
    config = TrainConfig(steps=1)
    both = seconds_to_evaluate(small, config)
    alone = seconds_to_evaluate(load_capture(small.path, test_every=2), config)
    assert both - alone >= module._MORE_WITH_GAUSSIANS * 6


@pytest.mark.slow
def test_a_run_reports_the_quality_at_native_size(tmp_path, capsys):
    data, out = colmap_folder(tmp_path / "data"), tmp_path / "run"
    assert train(data, out, "--steps", "3", "--downscale", "2") == 0
    metrics = json.loads((out / "metrics.json").read_text())
    native, said = metrics["native"], capsys.readouterr().out
    assert native["size_px"] == [32, 24] and metrics["resolution"] == [16, 12]
    assert native["views"][0]["name"] == "a.png" and "not_compared" not in native
    assert f"at 16x12 PSNR {metrics['test']['psnr']:.2f} dB" in said
    assert f"at 32x24 PSNR {native['psnr']:.2f} dB, SSIM {native['ssim']:.4f}" in said
    view = load_capture(data).test_views[0]
    assert native["psnr"] == pytest.approx(evaluate(load(out / "scene.ply"), [view]).psnr, abs=1e-3)
    assert train(data, tmp_path / "whole", "--steps", "3") == 0
    metrics = json.loads((tmp_path / "whole/metrics.json").read_text())
    assert metrics["native"] == {"size_px": [32, 24], **metrics["test"]}
    assert " at 32x24" not in capsys.readouterr().out.split("evaluating")[1]


@pytest.mark.slow
def test_evaluation_takes_a_size(tmp_path, capsys):
    data, out = colmap_folder(tmp_path / "data"), tmp_path / "run"
    train(data, out, "--steps", "3", "--downscale", "2")
    before = json.loads((out / "metrics.json").read_text())
    capsys.readouterr()
    assert main(["eval", str(out), "--size", "24"]) == 0
    found = json.loads((out / "metrics.json").read_text())
    assert found["resolution"] == [24, 18] and found["native"] == before["native"]
    assert found["test"]["psnr"] != before["test"]["psnr"]
    for size, words in (("33", "--size is 33, but the photographs are 32"), ("9", "--size 9 leaves 9x7")):
        assert main(["eval", str(out), "--size", size]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert json.loads((out / "metrics.json").read_text()) == found


def test_native_size_is_limited_to_screen_size(tmp_path):
    camera = (1, "PINHOLE", 1640, 12, (1500.0, 1500.0, 820.0, 6.0))
    (view,) = load_capture(colmap_folder(tmp_path, names=NAMES[:2], camera=camera)).test_views
    _, found = compared(load_capture(tmp_path), tmp_path)
    assert found.native.size_px == (1600, 12) and found.report.size_px == view.camera.size_px == (1640, 12)
