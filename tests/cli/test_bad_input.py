"""Whatever a user gets wrong ends with code 2 and one line that says what and what to do."""

import errno
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from capture_folders import (
    NAMES,
    PINHOLE,
    colmap_folder,
    image_rows,
    picture,
    save,
    write_colmap_bin,
    write_transforms,
)

from sfumato import outputs
from sfumato.cli import main
from sfumato.scene.files import save as save_scene
from sfumato.scene.gaussians import Gaussians

SHORT = ("--steps", "4")


@dataclass
class Desk:
    """A dataset, a place for runs, and what the command line said."""

    data: Path
    out: Path
    capsys: pytest.CaptureFixture

    def train(self, *options, data=None):
        return main(["train", str(data or self.data), "-o", str(self.out), *map(str, options)])

    def refuses(self, *options, data=None) -> str:
        return self.complains(["train", str(data or self.data), "-o", str(self.out), *map(str, options)])

    def complains(self, argv) -> str:
        self.capsys.readouterr()
        assert main(argv) == 2
        lines = self.capsys.readouterr().err.splitlines()
        errors = [line for line in lines if "warning:" not in line]
        assert len(errors) == 1 and errors[0].startswith("sfumato: error: "), lines
        return errors[0]


@pytest.fixture
def desk(tmp_path, capsys):
    return Desk(colmap_folder(tmp_path / "data"), tmp_path / "run", capsys)


def says(line: str, *words: str) -> None:
    missing = [word for word in words if word not in line]
    assert not missing, f"{missing} not in: {line}"


# Datasets


def test_missing_folder(desk, tmp_path):
    says(desk.refuses(data=tmp_path / "nix"), str(tmp_path / "nix"), "give the folder")


def test_folder_without_cameras(desk):
    shutil.rmtree(desk.data / "sparse")
    says(desk.refuses(), str(desk.data), "transforms")


def test_missing_image(desk):
    (desk.data / "images/b.png").unlink()
    says(desk.refuses(), "b.png")


def test_image_that_is_none(desk):
    (desk.data / "images/b.png").write_bytes(b"this is no picture")
    says(desk.refuses(), "b.png")


def test_image_that_breaks_while_training(desk):
    path = desk.data / "images/c.png"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    says(desk.refuses(*SHORT), "c.png")


def test_camera_that_names_no_image(desk):
    write_colmap_bin(desk.data / "sparse/0", [PINHOLE], image_rows((*NAMES, "ghost.png")))
    says(desk.refuses(), "ghost.png")


def test_pose_of_nan(desk):
    rows = image_rows(NAMES)
    rows[1] = (rows[1][0], (float("nan"), 0.0, 0.0, 0.0), rows[1][2], rows[1][3])
    write_colmap_bin(desk.data / "sparse/0", [PINHOLE], rows)
    says(desk.refuses(), "b.png")


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images(desk, count):
    write_colmap_bin(desk.data / "sparse/0", [PINHOLE], image_rows(NAMES[:count]))
    line = desk.refuses()
    assert "image" in line or "photograph" in line


def test_images_of_another_shape_than_their_camera(desk):
    save(desk.data / "images/b.png", picture(24, 32))
    says(desk.refuses(), "b.png", "24x32", "32x24")


def test_images_of_different_sizes_work(desk):
    wide = (2, "PINHOLE", 40, 20, (30.0, 31.0, 20.5, 10.5))
    rows = image_rows(NAMES)
    rows[2] = (*rows[2][:3], 2)
    write_colmap_bin(desk.data / "sparse/0", [PINHOLE, wide], rows)
    save(desk.data / "images/c.png", picture(40, 20))
    assert desk.train(*SHORT) == 0
    assert json.loads((desk.out / "metrics.json").read_text())["train"]["steps"] == 4


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
@pytest.mark.parametrize("keep", [0, 5, -7])
def test_truncated_model(desk, name, keep):
    path = desk.data / "sparse/0" / name
    path.write_bytes(path.read_bytes()[:keep])
    says(desk.refuses(), name)


def test_transforms_that_are_no_json(desk, tmp_path):
    (tmp_path / "blender").mkdir()
    (tmp_path / "blender/transforms.json").write_text("{")
    says(desk.refuses(data=tmp_path / "blender"), "transforms.json")


def test_transforms_with_a_pose_of_nan(desk, tmp_path):
    root = tmp_path / "set"
    for name in ("a.png", "b.png"):
        save(root / name, picture())
    path = write_transforms(root / "transforms.json", ["a.png", "b.png"], fl_x=30.0)
    path.write_text(path.read_text().replace("0.5", "NaN", 1))
    says(desk.refuses(data=root), "transforms.json")


# Scenes to start from


def test_missing_scene(desk, tmp_path):
    says(desk.refuses("--init", tmp_path / "nix.ply", *SHORT), "nix.ply", "missing")


@pytest.fixture
def scene(tmp_path):
    n = 20
    gaussians = Gaussians(
        torch.randn(n, 3), torch.full((n, 3), -3.0), torch.ones(n, 4), torch.zeros(n), torch.zeros(n, 1, 3)
    )
    save_scene(gaussians, tmp_path / "scene.ply")
    return tmp_path / "scene.ply"


def test_scene_with_fewer_rows_than_it_claims(desk, scene):
    scene.write_bytes(scene.read_bytes().replace(b"element vertex 20", b"element vertex 21"))
    says(desk.refuses("--init", scene, *SHORT), "scene.ply")


def test_scene_that_claims_the_whole_memory(desk, scene):
    scene.write_bytes(scene.read_bytes().replace(b"element vertex 20", b"element vertex 99999999999999"))
    says(desk.refuses("--init", scene, *SHORT), "scene.ply")


def test_scene_with_a_header_without_end(desk, scene):
    scene.write_bytes(b"ply\nformat binary_little_endian 1.0\n" + b"comment x\n" * 200_000)
    says(desk.refuses("--init", scene, *SHORT), "scene.ply")


def test_scene_of_nan(desk, scene):
    data = scene.read_bytes()
    head = data.index(b"end_header\n") + len(b"end_header\n")
    scene.write_bytes(data[:head] + np.full((len(data) - head) // 4, np.nan, "<f4").tobytes())
    says(desk.refuses("--init", scene, *SHORT), "scene.ply")


def test_empty_scene(desk, scene):
    data = scene.read_bytes()
    head = data.index(b"end_header\n") + len(b"end_header\n")
    scene.write_bytes(data[:head].replace(b"vertex 20", b"vertex 0"))
    desk.refuses("--init", scene, *SHORT)


# Options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], ["steps is 0", "give at least 1"]),
        (["--steps", "x"], ["--steps", "'x'"]),
        (["--steps", "1.5"], ["--steps", "'1.5'"]),
        (["--steps"], ["--steps"]),
        (["--minutes", "-1"], ["minutes is -1"]),
        (["--minutes", "nan"], ["minutes is nan"]),
        (["--steps", "5", "--minutes", "1"], ["steps and minutes exclude each other"]),
        (["--strategy", "luck"], ["luck", "adc", "mcmc"]),
        (["--sh-degree", "4"], ["sh_degree is 4"]),
        (["--max-gaussians", "0"], ["max_gaussians is 0"]),
        (["--ssim-weight", "2"], ["ssim_weight is 2"]),
        (["--downscale", "0"], ["downscale is 0"]),
        (["--downscale", "9"], ["downscale 9 leaves"]),
        (["--test-every", "1"], ["test_every is 1", "nothing to train on"]),
        (["--test-every", "-1"], ["test_every is -1"]),
        (["--background", "0", "0"], ["--background", "3"]),
        (["--background", "0", "0", "2"], ["background", "[0, 1]"]),
        (["--checkpoint-every", "0"], ["checkpoint_every is 0"]),
        (["--stepz", "3"], ["--stepz", "perhaps you meant --steps"]),
        (["--rates.means", "3"], ["--rates.means"]),
        (["something"], ["something"]),
        (["--device", "cuda"], ["--device cuda is not available", "give cpu or auto"]),
        (["--renderer", "trace"], ["--renderer trace is not available", "give raster"]),
        (["--resume", "--overwrite"], ["no config.json"]),
    ],
)
def test_bad_options(desk, options, words):
    says(desk.refuses(*options), *words)
    assert not desk.out.exists()


def test_missing_arguments(desk):
    says(desk.complains(["train", str(desk.data)]), "missing: -o PATH, --out PATH", "sfumato train --help")
    says(desk.complains(["eval"]), "missing: RUN")


def test_unknown_commands(desk):
    says(desk.complains(["paint"]), "'paint'", "train, eval, doctor")
    says(desk.complains(["--out", "x"]), "'--out'", "train, eval, doctor")


# Run folders


def test_a_run_that_is_there_already(desk):
    assert desk.train(*SHORT) == 0
    before = (desk.out / "scene.ply").read_bytes()
    says(desk.refuses(*SHORT), str(desk.out), "holds a run already", "--resume", "--overwrite")
    assert (desk.out / "scene.ply").read_bytes() == before
    assert desk.train(*SHORT, "--overwrite") == 0


def test_a_run_folder_that_is_a_file(desk):
    desk.out.write_text("notes")
    says(desk.refuses(*SHORT), "is a file", "give a folder")


def test_a_run_folder_that_cannot_be_written(desk, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        line = desk.refuses(*SHORT)
    says(line, "cannot write", str(desk.out), "permission denied", "choose a folder you may write to")


def test_resume_without_a_run(desk):
    says(desk.refuses("--resume"), str(desk.out), "no config.json")


def test_resume_without_a_checkpoint(desk):
    assert desk.train(*SHORT) == 0
    shutil.rmtree(desk.out / "checkpoints")
    says(desk.refuses("--resume"), "no checkpoint to resume from", "--overwrite")


def test_resume_from_a_damaged_checkpoint(desk):
    assert desk.train(*SHORT) == 0
    (desk.out / "checkpoints/step_000004.pt").write_bytes(b"PK\x03\x04 not really")
    says(desk.refuses("--resume"), "step_000004.pt is damaged")


def test_resume_of_a_damaged_config(desk):
    assert desk.train(*SHORT) == 0
    (desk.out / "config.json").write_text("{}")
    says(desk.refuses("--resume"), "config.json")


def test_resume_with_other_photographs(desk):
    assert desk.train(*SHORT) == 0
    names = (*NAMES, "d.png")
    write_colmap_bin(desk.data / "sparse/0", [PINHOLE], image_rows(names))
    save(desk.data / "images/d.png", picture())
    says(desk.refuses("--resume"), "3 photographs then, 4 now")


def test_evaluation_of_what_is_no_run(desk, tmp_path):
    says(desk.complains(["eval", str(tmp_path)]), "no run folder", "sfumato train")
    assert desk.train(*SHORT) == 0
    (desk.out / "scene.ply").unlink()
    says(desk.complains(["eval", str(desk.out)]), "scene.ply", "missing")


# A full disk


def _full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_is_one_line(desk, monkeypatch, call):
    monkeypatch.setattr(outputs.os, call, _full)
    line = desk.refuses(*SHORT)
    says(line, "cannot write", "no space left", "free some space")


def test_a_disk_that_fills_up_while_training(desk):
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    with tempfile.TemporaryDirectory() as disk:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True)
        if made.returncode:
            pytest.skip("this machine does not let tests make a small disk")
        try:
            desk.out = Path(disk) / "run"
            line = desk.refuses(*SHORT, "--checkpoint-every", "1")
            says(line, "cannot write", disk, "free some space")
            assert not list(desk.out.rglob(".*.part*"))
        finally:
            subprocess.run(["umount", disk], check=True)
