"""Runs of the command line in several processes: ends, checkpoints, refusals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from repository import ROOT
from sfumato.errors import FormatError, SfumatoError
from sfumato.runs import shared_training
from sfumato.runs.checkpoint import load_checkpoint
from sfumato.sharding.processes import processes
from support.command_line import CommandLine, says
from support.commands import OPTIONS, signalled_at, train
from support.sharing import ends_at_once

pytestmark = pytest.mark.slow

TWO = (*OPTIONS, "--processes", "2")


@pytest.fixture
def line(data, tmp_path, capsys):
    return CommandLine(data, tmp_path / "run", capsys)


def test_a_stopped_run_goes_on_with_the_same_bits_and_with_another_number(data, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(data, whole, *TWO) == 0
    with monkeypatch.context() as patch:
        signalled_at(patch, 6, signal.SIGINT)
        assert train(data, parts, *TWO) == 130
    stored = load_checkpoint(parts / "checkpoints" / "step_000007.pt")
    assert (parts / "checkpoints" / "step_000007.process1.pt").is_file()
    assert len(stored.state["population"]["means"]["values"]) >= 5
    assert train(data, parts, *TWO) == 0
    assert (parts / "scene.ply").read_bytes() == (whole / "scene.ply").read_bytes()
    for number, steps in ((3, 24), (1, 28)):
        assert train(data, parts, "--resume", "--steps", str(steps), "--processes", str(number)) == 0
        assert load_checkpoint(parts / "checkpoints" / f"step_{steps:06d}.pt").state["step"] == steps
    assert not (parts / "checkpoints" / "step_000007.process1.pt").exists()


def test_a_process_that_is_killed_is_named_and_the_same_command_resumes(line, monkeypatch):
    take = shared_training.save_shards_of_others

    def kill_after_saving(state, folder):
        take(state, folder)
        if state.step == 8:
            subprocess.run(["pkill", "-9", "-P", str(os.getpid()), "-f", "follow_leader"], check=True)

    with monkeypatch.context() as patch:
        patch.setattr("sfumato.runs.run.save_shards_of_others", kill_after_saving)
        says(line.refuses(*TWO, "--checkpoint-every", "4"), "process 1 of 2", "signal 9", "resumes")
    assert line.train(*TWO, "--checkpoint-every", "4") == 0


def test_a_process_that_ends_before_it_joins_is_named():
    named = pytest.raises(SfumatoError, match="process 1 of 2 ended with code 1: there is no disk")
    with named, processes(2, ends_at_once):
        raise AssertionError("it never joins")


def test_the_others_end_when_the_leader_is_killed(data, tmp_path):
    command = ["train", str(data), "-o", str(tmp_path / "run"), "--steps", "100000", "--processes", "2"]
    code = "import sys; from sfumato.cli import main; sys.exit(main(sys.argv[1:]))"
    path = os.pathsep.join((str(ROOT / "src"), os.environ.get("PYTHONPATH", "")))
    leader = subprocess.Popen([sys.executable, "-c", code, *command], env={**os.environ, "PYTHONPATH": path})
    events = tmp_path / "run" / "events.jsonl"
    patiently(lambda: events.exists() and events.stat().st_size > 0)
    found = subprocess.run(["pgrep", "-P", str(leader.pid)], capture_output=True, text=True, check=True)
    others = [int(number) for number in found.stdout.split()]
    leader.kill()
    leader.wait()
    assert others
    patiently(lambda: not any(is_running(number) for number in others))


def patiently(condition, seconds=60):
    until_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until_s, "it never comes true"
        time.sleep(0.05)


def is_running(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_missing_or_foreign_file_of_a_process_is_named_and_the_checkpoint_before_is_used(line, caplog):
    assert line.train(*TWO, "--checkpoint-every", "8") == 0
    folder = line.out / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == [
        "step_000016.process1.pt",
        "step_000016.pt",
        "step_000020.process1.pt",
        "step_000020.pt",
    ]
    (folder / "step_000020.process1.pt").write_bytes((folder / "step_000016.process1.pt").read_bytes())
    with pytest.raises(FormatError, match=r"process1\.pt does not belong to step_000020\.pt"):
        load_checkpoint(folder / "step_000020.pt")
    content = torch.load(folder / "step_000016.pt", weights_only=True)
    for key, value in (("processes", 10**9), ("with_rows", None)):
        torch.save({**content, key: value}, folder / "step_000015.pt")
        with pytest.raises(FormatError, match="damaged"):
            load_checkpoint(folder / "step_000015.pt")
    (folder / "step_000015.pt").unlink()
    assert line.train("--resume", "--steps", "24") == 0
    assert "going back to the one before" in caplog.text


def test_what_several_processes_cannot_train_is_refused(line):
    says(line.refuses(*OPTIONS, "--processes", "0"), "--processes is 0", "give 1 to")
    says(line.refuses(*TWO, "--renderer", "trace"), "rasterizer only")
    says(line.refuses(*TWO, "--surface-weight", "0.1"), "--surface-weight")
    says(line.refuses(*TWO, "--blocks", "2"), "--processes", "--blocks")
    says(line.refuses(*OPTIONS, "--processes", "100"), "100 processes cannot share")


def test_a_process_that_sees_other_photographs_is_named(line, monkeypatch):
    monkeypatch.setattr(shared_training, "_digest", lambda capture: "another")
    says(line.refuses(*TWO), "process 1 of 2", "other photographs")


def test_torchrun_starts_the_processes(data, tmp_path):
    path = os.pathsep.join((str(ROOT / "src"), os.environ.get("PYTHONPATH", "")))
    code = "import sys; from sfumato.cli import main; sys.exit(main())"
    script = tmp_path / "main.py"
    script.write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out = tmp_path / "run"
    done = subprocess.run(
        [*command, str(script), "train", str(data), "-o", str(out), *OPTIONS],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "checkpoints" / "step_000020.process1.pt").is_file() and (out / "metrics.json").is_file()


def test_what_a_process_says_is_reported():
    with pytest.raises(SfumatoError, match="process 1 of 2: the disk is full"):
        shared_training._refuse(["", "the disk is full"])
