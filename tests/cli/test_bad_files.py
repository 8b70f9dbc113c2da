"""Invalid scenes and run folders and full disks end with code 2 and one line that says what to do."""

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato import outputs
from sfumato.scene.files import save as save_scene
from sfumato.scene.gaussians import Gaussians
from support.capture_folders import NAMES, PINHOLE, image_rows, picture, save, write_colmap_bin
from support.desk import SHORT, says


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


def test_scene_with_a_huge_count(desk, scene):
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


@pytest.mark.slow
def test_an_existing_run(desk):
    assert desk.train(*SHORT) == 0
    before = (desk.out / "scene.ply").read_bytes()
    line = desk.refuses("--steps", "5", "--seed", "3")
    says(line, str(desk.out), "holds a run already", "--steps 4 there, 5 now", "--seed 0 there, 3 now")
    says(line, "--resume", "--overwrite")
    assert (desk.out / "scene.ply").read_bytes() == before
    says(
        desk.refuses(*SHORT, data=shutil.copytree(desk.data, desk.data.with_name("other"))),
        "DATA",
        "other now",
    )
    assert desk.train(*SHORT) == 0, "the same command resumes, here at the end"
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
    says(desk.refuses("--resume"), str(desk.out), "it does not exist", "sfumato train")


def test_resume_without_a_checkpoint(desk):
    assert desk.train(*SHORT) == 0
    shutil.rmtree(desk.out / "checkpoints")
    for how in (["--resume"], SHORT):
        says(desk.refuses(*how), "has a scene, but no checkpoint to resume from", "--overwrite")
    assert (desk.out / "scene.ply").exists(), "a finished scene is not overwritten"


def test_resume_from_a_damaged_checkpoint(desk):
    assert desk.train(*SHORT) == 0
    (desk.out / "checkpoints/step_000004.pt").write_bytes(b"PK\x03\x04 not really")
    says(desk.refuses("--resume"), "step_000004.pt is damaged")


@pytest.mark.slow
def test_resume_of_a_damaged_config(desk):
    assert desk.train(*SHORT) == 0
    (desk.out / "config.json").write_text("{}")
    assert desk.train("--resume") == 0, "the checkpoint also contains the options"
    (desk.out / "config.json").write_text("{}")
    (desk.out / "checkpoints/step_000004.pt").unlink()
    says(desk.refuses("--resume"), "config.json")


def test_resume_with_other_photographs(desk):
    assert desk.train(*SHORT) == 0
    names = (*NAMES, "d.png")
    write_colmap_bin(desk.data / "sparse/0", [PINHOLE], image_rows(names))
    save(desk.data / "images/d.png", picture())
    says(desk.refuses("--resume"), "3 photographs then, 4 now")


def test_evaluation_of_a_folder_that_is_not_a_run(desk, tmp_path):
    says(desk.complains(["eval", str(tmp_path)]), "no run folder", "sfumato train")
    assert desk.train(*SHORT) == 0
    (desk.out / "scene.ply").unlink()
    says(desk.complains(["eval", str(desk.out)]), "scene.ply", "missing")


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
