"""`sfumato track`: from a multi-view video to a run folder."""

import json
import shutil
import signal
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sfumato.cli import main
from sfumato.errors import ConfigError
from sfumato.runs import track_refinement
from sfumato.runs.track_folder import TrackFolder, load_tracked
from sfumato.runs.track_options import TrackOptions
from sfumato.runs.track_refinement import Refined, read_refined, save_refined
from sfumato.tracking.all_steps import trained_on_all_steps
from sfumato.tracking.track_state import MovingPoses, StepResult
from support.moving_scenes import MOVING, brief_scene, first_scene, moving_video

pytestmark = [pytest.mark.kernels, pytest.mark.slow]

FEW = ["--steps-first", "60", "--max-gaussians", "2000", "--nodes", "8", "--steps-refine", "30"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return moving_video(tmp_path_factory.mktemp("video"), steps=3)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["track", str(folder), "-o", str(out), *FEW]) == 0
    return out


def test_the_folder_contains_the_documented_files(run):
    scene = load_tracked(run)
    assert scene.num_steps == 3
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["version"], metrics["kind"]) == (1, "dynamic")
    assert metrics["test"]["cameras"] == ["6"]
    assert [row["step"] for row in metrics["steps"]] == [0, 1, 2]
    for key in ("psnr", "psnr_affine", "psnr_changed", "seconds", "gaussians", "moving", "time"):
        assert metrics["steps"][2][key] is not None
    assert metrics["train"]["moving"] == len(scene.ids) > 0
    assert metrics["train"]["gaussians"] == len(scene.at(float(scene.times[-1])))
    assert metrics["test"]["psnr_changed"] > metrics["still"]["psnr_changed"]
    assert (run / "renders" / "held_out.mp4").stat().st_size > 0
    assert (run / "renders" / "contact_sheet.png").stat().st_size > 0
    page = (run / "scene.html").read_text("utf-8")
    assert '"motion":{' in page and 'id="data-motion"' in page


def test_a_run_with_a_lost_or_damaged_last_step_resumes_to_identical_results(run, folder, tmp_path, capsys):
    out = tmp_path / "again"
    shutil.copytree(run, out)
    before = load_tracked(out)
    (out / "tracks.npz").unlink()
    poses = out / "steps" / "000002.npz"
    content = bytearray(poses.read_bytes())
    content[-1] ^= 1
    poses.write_bytes(content)
    assert main(["track", str(folder), "-o", str(out), *FEW]) == 0
    assert "resuming after step 1 in time" in capsys.readouterr().out
    after = load_tracked(out)
    assert torch.equal(after.means, before.means) and torch.equal(after.quats, before.quats)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_the_training_on_all_steps_is_kept_or_repeated_to_the_same_bits(run, folder, tmp_path, is_damaged):
    out = tmp_path / "again"
    shutil.copytree(run, out)
    (out / "scene.ply").unlink()
    path, _ = TrackFolder(out).refined
    if is_damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    written = path.stat().st_mtime_ns
    assert main(["track", str(folder), "-o", str(out), *FEW]) == 0
    assert (out / "scene.ply").read_bytes() == (run / "scene.ply").read_bytes()
    assert (path.stat().st_mtime_ns != written) == is_damaged


def test_a_signal_stops_the_training_on_all_steps(run, folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "again"
    shutil.copytree(run, out)
    path, _ = TrackFolder(out).refined
    path.unlink()

    def stopping(*given, callbacks, **others):
        signal.raise_signal(signal.SIGINT)
        return trained_on_all_steps(*given, callbacks=callbacks, **others)

    with monkeypatch.context() as patched:
        patched.setattr(track_refinement, "trained_on_all_steps", stopping)
        assert main(["track", str(folder), "-o", str(out), *FEW]) == 130
    said = capsys.readouterr().out
    assert "stopped before the end of the training on all steps" in said and "to resume" in said
    assert not path.exists()
    assert main(["track", str(folder), "-o", str(out), *FEW]) == 0
    assert (out / "scene.ply").read_bytes() == (run / "scene.ply").read_bytes()


def test_a_watched_run_has_identical_results_and_reports_its_steps(run, folder, tmp_path, monkeypatch):
    out, told = tmp_path / "again", []
    shutil.copytree(run, out)
    before = load_tracked(out)
    (out / "tracks.npz").unlink()
    shutil.rmtree(out / "steps")

    def listen(url):
        # The ticket redirects to the page; the events are relative to its address.
        with urllib.request.urlopen(url) as page:
            address = page.url
        with urllib.request.urlopen(f"{address}events") as events:
            for line in events:
                if line.startswith(b'data: {"version"'):
                    told.append(json.loads(line[6:])["steps"])
                    urllib.request.urlopen(f"{address}step-{told[-1] - 1}").close()

    def watch(url):
        threading.Thread(target=listen, args=(url,), daemon=True).start()

    monkeypatch.setattr("webbrowser.open", watch)
    assert main(["track", str(folder), "-o", str(out), *FEW, "--view"]) == 0
    after = load_tracked(out)
    assert torch.equal(after.means, before.means) and torch.equal(after.quats, before.quats)
    assert told and told == sorted(told) and told[-1] == 3


def test_another_run_in_the_folder_is_refused(run, folder, capsys):
    assert main(["track", str(folder), "-o", str(run), *FEW, "--seed", "1"]) == 2
    error = capsys.readouterr().err
    assert "holds another run" in error and len(error.splitlines()) == 1
    assert main(["track", str(folder), "-o", str(folder), *FEW]) == 2
    assert "holds no tracked run" in capsys.readouterr().err


@pytest.mark.parametrize("others", [False, True])
def test_a_run_killed_while_it_decodes_frames_begins_again(tmp_path, others):
    folder = TrackFolder(tmp_path)
    (folder.work / "frames" / "cam01").mkdir(parents=True)
    (tmp_path / ".lock").touch()
    options = TrackOptions(Path("video"))
    if others:
        (tmp_path / "mine.txt").touch()
        with pytest.raises(ConfigError, match="holds no tracked run"):
            folder.check_free(options)
    else:
        folder.check_free(options)


def test_a_time_budget_that_is_too_small_is_named(folder, tmp_path, capsys):
    few = ["--max-gaussians", "500", "--nodes", "0", "--minutes", "0.0005"]
    assert main(["track", str(folder), "-o", str(tmp_path / "run"), *few]) == 0
    assert capsys.readouterr().out.count("0.0005 minutes are too few") == 1


def test_the_result_of_all_steps_is_read_unchanged(tmp_path):
    folder, scene = TrackFolder(tmp_path), brief_scene()
    save_refined(folder, Refined(scene, 2.5), "tracks")
    found = read_refined(folder, "tracks", scene)
    assert found.seconds == 2.5 and torch.equal(found.scene.gaussians.sh, scene.gaussians.sh)
    assert torch.equal(found.scene.ids, scene.ids) and torch.equal(found.scene.death, scene.death)
    torch.testing.assert_close(found.scene.quats, scene.quats, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("axis", ["tracks", "coefficients", "steps", "Gaussians"])
def test_results_of_another_scene_are_not_read(tmp_path, axis):
    folder, scene = TrackFolder(tmp_path), brief_scene()
    save_refined(folder, Refined(scene, 2.5), "tracks")
    gaussians = scene.gaussians
    if axis == "coefficients":
        scene = replace(scene, gaussians=replace(gaussians, sh=gaussians.sh[:, :1]))
    elif axis == "steps":
        scene = brief_scene(steps=4)
    elif axis == "Gaussians":
        scene = brief_scene(moving=4, still=1)
    assert read_refined(folder, "others" if axis == "tracks" else "tracks", scene) is None


@pytest.mark.parametrize("births", [0, 5])
def test_a_saved_step_is_read_unchanged(tmp_path, births):
    scene = first_scene()
    still, ball = scene.select(torch.arange(len(scene) - MOVING)), scene.select(torch.arange(MOVING))
    result = StepResult(
        MovingPoses(ball.means, ball.quats),
        scene.select(torch.arange(births)) if births else None,
        absent=torch.arange(MOVING, dtype=torch.int32),
        still_absent=torch.arange(len(still), dtype=torch.int32),
        missing=2,
    )
    folder = TrackFolder(tmp_path)
    folder.save_step({"step": 3, "seconds": 1.5}, result, "digest")
    shape = {"ids": torch.arange(MOVING), "still_death": torch.zeros(len(still)), "gaussians": scene}
    row, found = folder.read_step(SimpleNamespace(step=3, **shape), "digest")
    assert row == {"step": 3, "seconds": 1.5} and found.missing == 2
    assert torch.equal(found.poses.means, result.poses.means)
    assert torch.equal(found.poses.quats, result.poses.quats)
    assert torch.equal(found.absent, result.absent) and torch.equal(found.still_absent, result.still_absent)
    born = None if found.born is None else found.born.tensors()
    assert (born is None) == (births == 0)
    for name, tensor in result.born.tensors().items() if births else ():
        assert torch.equal(born[name], tensor)
