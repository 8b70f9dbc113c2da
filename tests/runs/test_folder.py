"""A run folder keeps other files, forgets old results and survives kills."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.errors import ConfigError, FormatError, SfumatoError
from sfumato.runs.folder import EventLog, RunFolder
from sfumato.runs.run_options import RunOptions

OPTIONS = RunOptions(Path("/data"))


def test_options_come_back(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.begin(OPTIONS, cap=3)
    assert folder.read_options() == OPTIONS
    document = json.loads(folder.config.read_text())
    assert (
        document["cap"] == 3 and "torch" in document["versions"] and document["options"]["train"]["seed"] == 0
    )


def test_results_are_not_mixed(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    folder.check_free(resume=False, overwrite=False)
    (tmp_path / "scene.ply").write_text("whose?")
    with pytest.raises(ConfigError, match=r"holds results without config\.json; give --overwrite"):
        folder.check_free(resume=False, overwrite=False)
    folder.begin(OPTIONS)
    folder.check_free(resume=False, overwrite=False)
    folder.check_free(resume=True, overwrite=False)
    with pytest.raises(ConfigError, match="exclude each other"):
        folder.check_free(resume=True, overwrite=True)


@pytest.mark.parametrize(
    "name",
    [
        "scene.ply",
        "events.jsonl",
        ".lock",
        "checkpoints",
        "renders/test",
        "dataset",
        "checkpoints/step_000004.pt",
    ],
)
def test_links_out_of_the_folder_are_not_followed(tmp_path, name):
    """A downloaded run folder may contain such links."""
    folder, outside = RunFolder(tmp_path / "run"), tmp_path / "outside"
    outside.mkdir()
    (outside / "a.png").write_text("mine")
    link = folder.path / name
    link.parent.mkdir(parents=True)
    link.symlink_to(outside if "." not in name else outside / "a.png")
    for how in ({"resume": False, "overwrite": True}, {"resume": True, "overwrite": False}):
        with pytest.raises(ConfigError, match=f"{name} is a symbolic link to .*, outside the run folder"):
            folder.check_free(**how)


def test_links_within_the_folder_and_to_it_are_fine(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "renders").mkdir()
    (tmp_path / "real" / "latest").symlink_to("renders")
    RunFolder(tmp_path / "run").check_free(resume=False, overwrite=True)


@pytest.mark.slow
def test_one_process_at_a_time(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        other = "import sys; from sfumato.runs.folder import RunFolder; from pathlib import Path\n"
        other += "with RunFolder(Path(sys.argv[1])).lock(): pass"
        command = [sys.executable, "-c", other, str(folder.path)]
        refused = subprocess.run(command, capture_output=True, text=True)
        assert "Error: another process is training into" in refused.stderr
    assert subprocess.run(command).returncode == 0


def test_beginning_again_removes_results_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path)
    names = ("notes.txt", "scene.ply", "metrics.json", "events.jsonl", "checkpoints/step_000004.pt")
    for name in (*names, "checkpoints/mine.pt", "renders/test/a.png", "photo.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    folder.begin(OPTIONS)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "photo.png", "checkpoints/mine.pt", "config.json"}


@pytest.mark.parametrize("resume", [False, True])
def test_temporary_files_of_a_killed_process_are_removed(tmp_path, resume):
    folder = RunFolder(tmp_path)
    folder.begin(OPTIONS)
    stale = [".scene.0123456789ab.part.ply", "checkpoints/.step_000004.0123456789ab.part.pt"]
    for name in (*stale, ".partners.ply", ".mine.part"):
        (tmp_path / name).write_text("half")
    folder.resume(OPTIONS, 4) if resume else folder.begin(OPTIONS)
    assert not any((tmp_path / name).exists() for name in stale)
    assert (tmp_path / ".partners.ply").exists() and (tmp_path / ".mine.part").exists()


def test_reports_after_the_resumed_step_are_removed(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(OPTIONS)
    log = EventLog(folder.events)
    for step in (1, 5, 9):
        log.write({"step": step, "seconds": 0.5 * step})
    with folder.events.open("a") as handle:
        handle.write('{"step": 10, "sec')
    folder.resume(OPTIONS, 5)
    assert [json.loads(line)["step"] for line in folder.events.read_text().splitlines()] == [1, 5]


@pytest.mark.parametrize("text", ["{", "[1, 2]", "", "[" * 100_000])
def test_a_damaged_config_is_one_line(tmp_path, text):
    folder = RunFolder(tmp_path)
    folder.config.write_text(text)
    with pytest.raises(FormatError, match=r"config\.json is damaged"):
        folder.read_options()


def test_a_changed_config_is_detected(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin(OPTIONS, cap=3)
    good = folder.config.read_text()
    folder.config.write_text(good.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(FormatError, match="not as it was written"):
        folder.read_options()
    before = json.loads(good)
    del before["digest"]
    folder.config.write_text(json.dumps(before))
    assert folder.read_options() == OPTIONS, "what was written before there were digests is read"


def test_a_missing_run_gives_a_remedy(tmp_path):
    with pytest.raises(
        ConfigError, match=r"is not a run folder: it has no config\.json; run sfumato train first"
    ):
        RunFolder(tmp_path).read_options()


def test_training_facts_come_from_events_without_metrics(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_training()["steps"] is None
    EventLog(folder.events).write({"step": 7, "seconds": 1.5, "gaussians": 12, "loss": 0.1})
    assert folder.read_training() == {"steps": 7, "seconds": 1.5, "gaussians": 12, "peak_memory_bytes": None}
    folder.metrics.write_text(json.dumps({"train": {"steps": 8}}))
    assert folder.read_training() == {"steps": 8}


def test_a_report_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(SfumatoError, match=r"cannot write .*events\.jsonl"):
        EventLog(tmp_path / "events.jsonl").write({"step": 1})
