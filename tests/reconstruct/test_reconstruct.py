"""From photographs to a run folder in one call, and from datasets that have more already."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from capture_folders import colmap_folder
from worlds import PINHOLE, arc, photographs, room

import sfumato
from sfumato import Reconstruction, TrainConfig
from sfumato.cli import main
from sfumato.errors import ConfigError
from sfumato.sfm.config import SfmConfig
from sfumato.train.config import Schedule

QUICK = SfmConfig(feature_side_px=320, max_features=700, pairs="exhaustive")
SHORT = TrainConfig(steps=12, schedule=Schedule(refine_every=4))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("room") / "photos"
    photographs(folder, room(), arc(10), PINHOLE)
    return folder


@pytest.fixture(scope="module")
def made(photos):
    """The task, the run folder and how it ended."""
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


def test_results_are_not_replaced_unless_asked_and_cameras_are_not_found_again(made):
    task, out, _ = made
    with pytest.raises(ConfigError, match="holds a run already"):
        sfumato.reconstruct(task, out)
    before = (out / "dataset" / "sparse" / "0" / "images.bin").stat().st_mtime_ns
    again = sfumato.reconstruct(replace(task, train=replace(SHORT, steps=5)), out, overwrite=True)
    assert again.state.step == 5
    assert (out / "dataset" / "sparse" / "0" / "images.bin").stat().st_mtime_ns == before


def test_a_training_that_was_begun_is_gone_on_with(made, photos):
    task, _, _ = made
    out = photos.parent / "longer"
    sfumato.reconstruct(task, out)
    assert sfumato.reconstruct(task, out, resume=True).state.step == 12


def test_a_dataset_with_points_is_trained_on_as_it_is(tmp_path):
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


def test_the_time_given_is_kept(photos, tmp_path):
    minutes = 0.15
    task = Reconstruction((photos,), sfm=QUICK, train=TrainConfig(minutes=minutes))
    result = sfumato.reconstruct(task, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())["options"]
    assert 0.3 * minutes <= config["train"]["minutes"] < minutes
    assert config["capture"]["downscale"] >= 1 and result.report is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.mp4"], "nowhere.mp4 does not exist"),
        ([], "there is no input"),
        (["text.mp4"], "is no picture or video, judging by its content"),
        (["text.mp4", "--minutes", "-1"], "minutes is -1"),
        (["text.mp4", "--steps", "5", "--minutes", "1"], "exclude each other"),
        (["text.mp4", "--sfm.max-features", "3"], "max_features is 3"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no video\n" * 50)
    assert main(["reconstruct", *arguments, "-o", "run"]) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("sfumato: error:") and said.count("\n") == 1
