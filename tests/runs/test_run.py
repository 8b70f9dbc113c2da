"""Whole runs from the command line: results, continuation with more steps, and errors."""

import json

import pytest
from PIL import Image

import sfumato
from sfumato import display
from sfumato.capture import dataset
from sfumato.cli import main
from sfumato.runs.checkpoint import checkpoints
from sfumato.training import loop
from sfumato.training.config import Schedule, TrainConfig
from support.commands import OPTIONS, files, spied, train


def test_a_run_fills_its_folder(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(data, out, *OPTIONS) == 0
    assert files(out) == {
        ".lock",
        "config.json",
        "scene.ply",
        "scene.html",
        "report.html",
        "metrics.json",
        "events.jsonl",
        "training_chart.png",
        "checkpoints/step_000020.pt",
        "renders/contact_sheet.png",
        "renders/test/a.png",
        "renders/test/a_truth.png",
        "renders/test/a_difference.png",
    }
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["train"]["steps"] == 20 and metrics["train"]["gaussians"] > 5
    assert metrics["train"]["peak_memory_bytes"] > 2**26 and metrics["train"]["seconds"] > 0
    assert metrics["split"] == {"rule": "every 8th, sorted by name", "test": ["a.png"]}
    assert metrics["test"]["psnr"] > 3 and metrics["resolution"] == [32, 24]
    options = json.loads((out / "config.json").read_text())["options"]
    assert options["train"]["seed"] == 4 and options["train"]["adc"]["threshold"] == 1e-9
    last = json.loads((out / "events.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 20 and abs(last["psnr"] - metrics["test"]["psnr"]) < 1e-3
    assert last["psnr_all"] == last["psnr"] and last["psnr_views"] == last["psnr_all_views"] == 1
    assert metrics["original_resolution"] == [32, 24] and metrics["pixels"] == "all"
    assert Image.open(out / "renders/contact_sheet.png").width > 300
    assert len(sfumato.load(out / "scene.ply")) == metrics["train"]["gaussians"]
    said = capsys.readouterr().out
    assert "2 photographs of 32x24, 5 points" in said and "PSNR" in said and str(out / "scene.ply") in said


@pytest.mark.parametrize("kind", ["masks", "alpha"])
def test_a_fully_masked_dataset_is_refused(data, tmp_path, kind, capsys):
    for path in (data / "images").iterdir():
        if kind == "masks":
            Image.new("L", (32, 24)).save(tmp_path / path.name)
            (data / "masks").mkdir(exist_ok=True)
            (tmp_path / path.name).rename(data / "masks" / path.name)
        else:
            Image.new("RGBA", (32, 24)).save(path)
    assert train(data, tmp_path / "run", *OPTIONS) == 2
    assert "keep no pixel of any of the 2 pictures" in capsys.readouterr().err


@pytest.mark.slow
def test_the_masked_fraction_is_reported(data, tmp_path, monkeypatch, capsys, caplog):
    read = spied(monkeypatch, dataset, "read_source")
    (data / "masks").mkdir()
    half = Image.new("L", (32, 24))
    half.paste(255, (0, 0, 8, 24))
    half.save(data / "masks/a.png")
    Image.new("L", (32, 24)).save(data / "masks/b.png")
    assert train(data, tmp_path / "run", *OPTIONS, "--downscale", "2") == 0
    said = capsys.readouterr().out
    assert "over the 25.0% of their pixels that masks keep" in said
    assert "2 photographs of 16x12, reduced from 32x24" in said
    assert len(read) == 1, "the page is of what was read for the training"
    assert "b.png is not used for training" in caplog.text and "2 of 3 pictures have a mask" in caplog.text
    assert json.loads((tmp_path / "run/metrics.json").read_text())["kept"] == 0.25


@pytest.mark.slow
def test_evaluation_again_gives_the_same(data, tmp_path):
    out = tmp_path / "run"
    train(data, out, *OPTIONS)
    before = json.loads((out / "metrics.json").read_text())
    for path in (out / "renders").rglob("*.png"):
        path.unlink()
    data.rename(tmp_path / "moved")
    assert main(["eval", str(out)]) == 2
    assert main(["eval", str(out), "--data", str(tmp_path / "moved")]) == 0
    assert json.loads((out / "metrics.json").read_text()) == before
    assert (out / "renders/contact_sheet.png").exists()


def test_evaluation_shows_its_progress_in_a_log(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(display, "_PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr(display, "_SHOWN_AFTER_S", 0.0)
    assert train(data, tmp_path / "run", "--steps", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    begun = lines.index("evaluating 1 held-out views")
    assert lines[begun + 1].startswith("100%  evaluating: 1 of 1 held-out views")


def test_a_run_without_held_out_views_writes_a_scene(data, tmp_path):
    out = tmp_path / "run"
    assert train(data, out, *OPTIONS, "--test-every", "0") == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["psnr"] is None and metrics["split"]["rule"] == "none"
    assert (out / "scene.ply").exists() and not (out / "renders").exists()


@pytest.mark.slow
def test_a_finished_run_can_be_made_longer(data, tmp_path, capsys):
    out = tmp_path / "run"
    train(data, out, *OPTIONS)
    assert train(data, out, "--resume", "--steps", "24") == 0
    assert json.loads((out / "metrics.json").read_text())["train"]["steps"] == 24
    assert json.loads((out / "config.json").read_text())["options"]["train"]["steps"] == 24
    assert train(data, out, "--resume", "--minutes", "0.0001") == 0
    assert json.loads((out / "config.json").read_text())["options"]["train"]["steps"] is None
    assert train(data, out, "--resume", "--seed", "5") == 2
    assert "--seed is 5 but the run to resume has 4" in capsys.readouterr().err


@pytest.mark.slow
def test_a_scene_to_start_from_is_not_a_resume(data, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    train(data, first, *OPTIONS)
    count = len(sfumato.load(first / "scene.ply"))
    assert train(data, second, "--steps", "1", "--init", str(first / "scene.ply")) == 0
    events = (second / "events.jsonl").read_text().splitlines()
    assert json.loads(events[0])["gaussians"] == count and json.loads(events[0])["step"] == 1
    assert train(data, first, "--resume", "--init", str(second / "scene.ply")) == 2
    assert "--init and --resume exclude each other" in capsys.readouterr().err


def test_minutes_bound_the_time(data):
    seconds = []
    capture = sfumato.load_capture(data)
    # Training on noise fades every Gaussian, and a run stops early if all are pruned.
    config = TrainConfig(minutes=0.01, schedule=Schedule(refine_every=10**6))
    sfumato.train(capture, config, callbacks=[lambda state, _: seconds.append(state.seconds)])
    assert all(before < 0.6 for before in seconds[:-1]) and seconds[-1] >= 0.6


def test_divergence_keeps_the_last_good_checkpoint(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    take = loop.train_step

    def poisoned(state, *rest):
        if state.step == 6:
            state.population.gaussians.sh.data[:] = float("nan")
        return take(state, *rest)

    monkeypatch.setattr(loop, "train_step", poisoned)
    assert train(data, out, *OPTIONS, "--checkpoint-every", "5") == 2
    assert "diverged" in capsys.readouterr().err
    assert [path.name for path in checkpoints(out / "checkpoints")] == ["step_000005.pt"]


def test_the_same_in_python(data):
    capture = sfumato.load_capture(data)
    seen = []
    state = sfumato.train(capture, TrainConfig(steps=3), callbacks=[lambda state, stats: seen.append(stats)])
    assert state.step == 3 and len(seen) == 3 and not state.gaussians.metadata.antialiased
    report = sfumato.evaluate(state.gaussians, capture.test_views, lpips=False)
    assert report.psnr > 3 and len(report.views) == 1
