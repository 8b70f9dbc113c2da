"""From photographs to a run folder in one call, and from datasets with cameras or points."""

import json
import shlex
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

import sfumato
from sfumato import Reconstruction, TrainConfig
from sfumato.cli import main
from sfumato.errors import ConfigError
from sfumato.reconstruction.budget import LEAST_TRAINING_SHARE
from sfumato.runs import reduction
from sfumato.runs.folder import RunFolder
from sfumato.sfm.config import SfmConfig
from sfumato.training import loop
from sfumato.training.config import Schedule
from support.capture_folders import colmap_folder
from support.commands import signalled_at
from support.worlds import PINHOLE, arc, photographs, room

pytestmark = pytest.mark.slow

QUICK = SfmConfig(feature_side_px=320, max_features=700, pairs="exhaustive")
SHORT = TrainConfig(steps=12, schedule=Schedule(refine_every=4))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("room") / "photos"
    photographs(folder, room(), arc(10), PINHOLE)
    return folder


@pytest.fixture(scope="module")
def made(photos):
    """The task, the run folder and the result."""
    task = Reconstruction((photos,), sfm=QUICK, train=SHORT)
    out = photos.parent / "run"
    return task, out, sfumato.reconstruct(task, out)


def test_photographs_become_a_run(made):
    _, out, result = made
    assert result.state.step == 12 and result.report.psnr > 10
    assert {"scene.ply", "metrics.json", "config.json", "events.jsonl"} <= {p.name for p in out.iterdir()}
    assert len(sfumato.load(out / "scene.ply")) == len(result.state.gaussians)
    assert len(sfumato.load_capture(out / "dataset").views) == 10
    assert json.loads((out / "metrics.json").read_text())["train"]["steps"] == 12


def test_results_are_replaced_only_on_request_and_cameras_are_reused(made):
    task, out, _ = made
    other = replace(task, train=replace(SHORT, ssim_weight=0.9), inputs=(*task.inputs, out))
    with pytest.raises(
        ConfigError, match=r"of something else \(INPUT \[.*; --ssim-weight 0.4 there, 0.9 now\)"
    ):
        sfumato.reconstruct(other, out)
    before = (out / "dataset" / "sparse" / "0" / "images.bin").stat().st_mtime_ns
    again = sfumato.reconstruct(replace(task, train=replace(SHORT, steps=5)), out, overwrite=True)
    assert again.state.step == 5
    assert (out / "dataset" / "sparse" / "0" / "images.bin").stat().st_mtime_ns == before


@pytest.fixture
def posed(tmp_path):
    """A task without structure from motion."""
    return Reconstruction((colmap_folder(tmp_path / "data"),), train=SHORT)


@pytest.mark.parametrize("resume", [False, True])
def test_interrupted_training_resumes(posed, tmp_path, resume):
    out = tmp_path / "run"
    sfumato.reconstruct(posed, out)
    before = (out / "scene.ply").read_bytes()
    (out / "scene.ply").unlink()
    assert sfumato.reconstruct(posed, out, resume=resume).state.step == 12
    assert (out / "scene.ply").read_bytes() == before


@pytest.mark.parametrize("how", [("--steps", "12"), ("--resume",)])
@pytest.mark.parametrize("stop", ["begin", "go"])
def test_a_run_stopped_before_its_first_checkpoint_restarts(posed, tmp_path, monkeypatch, stop, how):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arguments = ["reconstruct", str(posed.inputs[0]), "-o", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(*{"begin": (RunFolder, "begin"), "go": (loop, "train")}[stop], interrupted)
        assert main([*arguments, "--steps", "12"]) == 130
    assert main([*arguments, *how]) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["train"]["steps"] == 12


def test_a_stopped_run_prints_the_command_that_resumes_it(posed, tmp_path, monkeypatch, capsys):
    arguments = ["reconstruct", str(posed.inputs[0]), "-o", str(tmp_path / "run"), "--steps", "12"]
    with monkeypatch.context() as patch:
        signalled_at(patch, 6, signal.SIGINT)
        assert main([*arguments, "--overwrite"]) == 130
    assert capsys.readouterr().out.splitlines()[-1] == f"to resume: {shlex.join(['sfumato', *arguments])}"
    assert main(arguments) == 0
    assert "resuming after step 7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["elsewhere.mp4", "--resume"], "INPUT"),
        (["data", "--resume", "--steps", "40"], "--steps 12 there, 40 now"),
        (["data", "--resume", "--ssim-weight", "0.9"], "--ssim-weight 0.4 there, 0.9 now"),
        (["data", "--steps", "12", "--sfm.seed", "3"], "--sfm.seed 0 there, 3 now"),
        (["data", "--steps", "12", "--downscale", "2"], "--downscale None there, 2 now"),
    ],
)
def test_options_that_differ_from_the_interrupted_run_are_refused(
    posed, tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    assert main(["reconstruct", "data", "-o", "run", "--steps", "12"]) == 0
    before = (tmp_path / "run" / "scene.ply").read_bytes()
    capsys.readouterr()
    assert main(["reconstruct", *arguments, "-o", "run"]) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("sfumato: error:") and said.count("\n") == 1
    assert (tmp_path / "run" / "scene.ply").read_bytes() == before


def test_a_run_of_train_is_not_resumed_as_a_reconstruction(posed, tmp_path, capsys):
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match="holds no reconstruction to resume"):
        sfumato.reconstruct(posed, out, resume=True)
    assert main(["train", str(posed.inputs[0]), "-o", str(out), "--steps", "3"]) == 0
    with pytest.raises(ConfigError, match="which reconstruct did not begin"):
        sfumato.reconstruct(posed, out)
    assert sfumato.reconstruct(posed, out, overwrite=True).state.step == 12
    train = [
        "train",
        str(posed.inputs[0]),
        "-o",
        str(out),
        "--overwrite",
        "--steps",
        "3",
        "--ssim-weight",
        "0",
    ]
    assert main(train) == 0
    with pytest.raises(ConfigError, match="is not its reconstruction's"):
        sfumato.reconstruct(posed, out)


def test_a_run_folder_may_move(made, tmp_path):
    task, out, _ = made
    shutil.copytree(out, tmp_path / "first")
    sfumato.reconstruct(task, tmp_path / "first", overwrite=True)
    moved = (tmp_path / "first").rename(tmp_path / "moved")
    (moved / "scene.ply").unlink()
    assert sfumato.reconstruct(task, moved).state.step == 12
    options = json.loads((moved / "config.json").read_text())["options"]
    assert options["data"] == str(moved / "dataset") and (moved / "scene.ply").exists()


def test_a_dataset_with_points_is_used_unchanged(tmp_path):
    data = colmap_folder(tmp_path / "data")
    result = sfumato.reconstruct(Reconstruction((data,), train=SHORT), tmp_path / "run")
    assert result.state.step == 12 and not (tmp_path / "run" / "dataset").exists()


def test_a_dataset_without_points_keeps_its_cameras(made, tmp_path):
    _, out, _ = made
    data = tmp_path / "data"
    shutil.copytree(out / "dataset" / "images", data / "images")
    shutil.copytree(out / "dataset" / "sparse", data / "sparse")
    (data / "sparse" / "0" / "points3D.bin").unlink()
    result = sfumato.reconstruct(Reconstruction((data,), sfm=QUICK, train=SHORT), tmp_path / "run")
    given, kept = (
        sfumato.load_capture(path).views for path in (out / "dataset", tmp_path / "run" / "dataset")
    )
    for old, new in zip(given, kept, strict=True):
        np.testing.assert_allclose(new.camera.camera_from_world, old.camera.camera_from_world, atol=1e-9)
    assert result.state.start_count > 100


def test_the_time_limit_is_respected(photos, tmp_path):
    minutes = 0.15
    task = Reconstruction((photos,), sfm=QUICK, train=TrainConfig(minutes=minutes))
    result = sfumato.reconstruct(task, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())["options"]
    assert 0.9 * LEAST_TRAINING_SHARE * minutes <= config["train"]["minutes"] < minutes
    assert config["capture"]["downscale"] >= 1 and result.report is not None


def test_reduced_photographs_use_native_blur_also_after_resuming(posed, tmp_path, monkeypatch):
    monkeypatch.setattr(reduction, "downscale_for", lambda *_: 2)
    task, out = replace(posed, train=TrainConfig(minutes=0.03)), tmp_path / "run"
    sfumato.reconstruct(task, out)
    options = json.loads((out / "config.json").read_text())["options"]
    assert options["capture"]["downscale"] == 2 and options["train"]["native_blur"] is True
    scene = (out / "scene.ply").read_bytes()
    sfumato.reconstruct(task, out)
    assert (out / "scene.ply").read_bytes() == scene


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.mp4"], "nowhere.mp4 does not exist"),
        ([], "there is no input"),
        (["text.mp4"], "is not a picture or video, judging by its content"),
        (["text.mp4", "--minutes", "-1"], "minutes is -1"),
        (["text.mp4", "--steps", "5", "--minutes", "1"], "exclude each other"),
        (["text.mp4", "--sfm.max-features", "3"], "max_features is 3"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    assert main(["reconstruct", *arguments, "-o", "run"]) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("sfumato: error:") and said.count("\n") == 1
