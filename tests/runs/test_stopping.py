"""Runs that are stopped, killed or damaged, and resume."""

import json
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sfumato
from sfumato.cli import main, pages
from sfumato.runs import checkpoint, run
from sfumato.runs.checkpoint import checkpoints
from sfumato.runs.folder import RunFolder
from support.commands import OPTIONS, files, signalled_at, spied, train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_resumes_to_identical_results(data, tmp_path, monkeypatch, capsys, number, code):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(data, whole, *OPTIONS) == 0
    with monkeypatch.context() as patch:
        signalled_at(patch, 6, number)
        assert train(data, parts, *OPTIONS, "--overwrite") == code
    *_, stopped, to_go_on = capsys.readouterr().out.splitlines()
    command = ["sfumato", "train", str(data), "-o", str(parts), *OPTIONS]
    assert (stopped, to_go_on) == ("stopped after step 7", f"to resume: {shlex.join(command)}")
    assert [path.name for path in checkpoints(parts / "checkpoints")] == ["step_000007.pt"]
    assert len(sfumato.load(parts / "scene.ply")) >= 5 and not (parts / "metrics.json").exists()
    hashed = spied(monkeypatch, checkpoint, "_content")
    assert (train(data, parts, "--resume") if number == signal.SIGINT else main(command[1:])) == 0
    assert len(hashed) == 3, "each picture once"
    assert (parts / "scene.ply").read_bytes() == (whole / "scene.ply").read_bytes()
    steps = [json.loads(line)["step"] for line in (parts / "events.jsonl").read_text().splitlines()]
    assert steps == sorted(steps) and steps[0] == 1 and steps[-1] == 20


@pytest.mark.parametrize(
    ("place", "name"),
    [(RunFolder, "lock"), (RunFolder, "write_config"), (run, "write_results"), (pages, "write_run_page")],
)
def test_a_run_stopped_anywhere_resumes_to_identical_results(data, tmp_path, monkeypatch, place, name):
    """Including before the first checkpoint and after the last, with the same command."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(data, whole, *OPTIONS) == 0

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, name, stop)
        assert train(data, parts, *OPTIONS) == 130
    assert train(data, parts, *OPTIONS) == 0
    assert (parts / "scene.ply").read_bytes() == (whole / "scene.ply").read_bytes()
    assert files(parts) == files(whole)


@pytest.mark.parametrize("how", [OPTIONS, ("--resume",)])
def test_a_run_without_a_checkpoint_begins_again(data, tmp_path, monkeypatch, how):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        signalled_at(patch, 6, signal.SIGINT, signal.SIGINT)
        assert train(data, out, *OPTIONS) == 130
    assert (out / "config.json").exists() and not checkpoints(out / "checkpoints")
    assert train(data, out, *how) == 0
    assert json.loads((out / "metrics.json").read_text())["train"]["steps"] == 20


def test_a_damaged_config_is_taken_from_the_checkpoint(data, tmp_path, caplog):
    out = tmp_path / "run"
    train(data, out, *OPTIONS)
    before, text = (out / "scene.ply").read_bytes(), (out / "config.json").read_text()
    for damaged in (text.replace('"seed": 4', '"seed": 5'), text[:99], ""):
        (out / "config.json").write_text(damaged)
        assert train(data, out, *OPTIONS) == 0
        assert (out / "config.json").read_text() == text and (out / "scene.ply").read_bytes() == before
    assert caplog.text.count("the options are taken from the last checkpoint") >= 3


def test_a_checkpoint_of_another_run_is_refused(data, tmp_path, capsys):
    out, other = tmp_path / "run", tmp_path / "other"
    assert train(data, out, *OPTIONS) == train(data, other, *OPTIONS, "--seed", "5") == 0
    shutil.rmtree(out / "checkpoints")
    shutil.copytree(other / "checkpoints", out / "checkpoints")
    assert train(data, out, "--resume") == 2
    assert "--seed is 4 but the run to resume has 5" in capsys.readouterr().err


def test_a_second_interruption_stops_at_once(data, tmp_path, monkeypatch, capsys):
    signalled_at(monkeypatch, 6, signal.SIGINT, signal.SIGINT)
    out = tmp_path / "run"
    assert train(data, out, *OPTIONS) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not checkpoints(out / "checkpoints")


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_but_time(data, tmp_path):
    """A run that saves after every step and is killed resumes to the same bits as an undisturbed one."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = (*OPTIONS[2:], "--steps", "60")
    assert train(data, whole, *options) == 0
    command = [sys.executable, "-c", "import sys; from sfumato.cli import main; sys.exit(main())"]
    dice = random.Random(1)
    for _ in range(2):
        arguments = ["train", str(data), "-o", str(killed), *options, "--checkpoint-every", "1"]
        run = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, cwd=Path.cwd())
        _wait_for_steps(run, killed, dice.randint(1, 4))
        time.sleep(dice.random() * 0.1)
        run.kill()
        run.wait()
    assert checkpoints(killed / "checkpoints"), "the kills must hit a run that had begun"
    assert train(data, killed, *options) == 0
    assert (killed / "scene.ply").read_bytes() == (whole / "scene.ply").read_bytes()
    assert not list(killed.rglob(".*.part*"))


def _wait_for_steps(run, out, count, limit_s=120.0):
    """Wait for ``count`` more checkpoints or the end of the run."""
    seen, end = set(checkpoints(out / "checkpoints")), time.monotonic() + limit_s
    begin = len(seen)
    while len(seen) < begin + count and run.poll() is None and time.monotonic() < end:
        seen |= set(checkpoints(out / "checkpoints"))
        time.sleep(0.005)
