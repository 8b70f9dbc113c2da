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
from support.command_line import SHORT, says


def test_missing_scene(cli, tmp_path):
    says(cli.refuses("--init", tmp_path / "nix.ply", *SHORT), "nix.ply", "missing")


@pytest.fixture
def scene(tmp_path):
    n = 20
    gaussians = Gaussians(
        torch.randn(n, 3), torch.full((n, 3), -3.0), torch.ones(n, 4), torch.zeros(n), torch.zeros(n, 1, 3)
    )
    save_scene(gaussians, tmp_path / "scene.ply")
    return tmp_path / "scene.ply"


def test_scene_with_fewer_rows_than_it_claims(cli, scene):
    scene.write_bytes(scene.read_bytes().replace(b"element vertex 20", b"element vertex 21"))
    says(cli.refuses("--init", scene, *SHORT), "scene.ply")


def test_scene_with_a_huge_count(cli, scene):
    scene.write_bytes(scene.read_bytes().replace(b"element vertex 20", b"element vertex 99999999999999"))
    says(cli.refuses("--init", scene, *SHORT), "scene.ply")


def test_scene_with_a_header_without_end(cli, scene):
    scene.write_bytes(b"ply\nformat binary_little_endian 1.0\n" + b"comment x\n" * 200_000)
    says(cli.refuses("--init", scene, *SHORT), "scene.ply")


def test_scene_of_nan(cli, scene):
    data = scene.read_bytes()
    head = data.index(b"end_header\n") + len(b"end_header\n")
    scene.write_bytes(data[:head] + np.full((len(data) - head) // 4, np.nan, "<f4").tobytes())
    says(cli.refuses("--init", scene, *SHORT), "scene.ply")


def test_empty_scene(cli, scene):
    data = scene.read_bytes()
    head = data.index(b"end_header\n") + len(b"end_header\n")
    scene.write_bytes(data[:head].replace(b"vertex 20", b"vertex 0"))
    cli.refuses("--init", scene, *SHORT)


@pytest.mark.slow
def test_an_existing_run(cli):
    assert cli.train(*SHORT) == 0
    before = (cli.out / "scene.ply").read_bytes()
    line = cli.refuses("--steps", "5", "--seed", "3")
    says(line, str(cli.out), "holds a run already", "--steps 4 there, 5 now", "--seed 0 there, 3 now")
    says(line, "--resume", "--overwrite")
    assert (cli.out / "scene.ply").read_bytes() == before
    says(
        cli.refuses(*SHORT, data=shutil.copytree(cli.data, cli.data.with_name("other"))),
        "DATA",
        "other now",
    )
    assert cli.train(*SHORT) == 0, "the same command resumes, here at the end"
    assert (cli.out / "scene.ply").read_bytes() == before
    assert cli.train(*SHORT, "--overwrite") == 0


def test_a_run_folder_that_is_a_file(cli):
    cli.out.write_text("notes")
    says(cli.refuses(*SHORT), "is a file", "give a folder")


def test_a_run_folder_that_cannot_be_written(cli, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        line = cli.refuses(*SHORT)
    says(line, "cannot write", str(cli.out), "permission denied", "choose a folder you may write to")


def test_resume_without_a_run(cli):
    says(cli.refuses("--resume"), str(cli.out), "it does not exist", "sfumato train")


@pytest.mark.slow
def test_resume_without_a_checkpoint(cli):
    assert cli.train(*SHORT) == 0
    shutil.rmtree(cli.out / "checkpoints")
    for how in (["--resume"], SHORT):
        says(cli.refuses(*how), "has a scene, but no checkpoint to resume from", "--overwrite")
    assert (cli.out / "scene.ply").exists(), "a finished scene is not overwritten"


def test_resume_from_a_damaged_checkpoint(cli):
    assert cli.train(*SHORT) == 0
    (cli.out / "checkpoints/step_000004.pt").write_bytes(b"PK\x03\x04 not really")
    says(cli.refuses("--resume"), "step_000004.pt is damaged")


@pytest.mark.slow
def test_resume_of_a_damaged_config(cli):
    assert cli.train(*SHORT) == 0
    (cli.out / "config.json").write_text("{}")
    assert cli.train("--resume") == 0, "the checkpoint also contains the options"
    (cli.out / "config.json").write_text("{}")
    (cli.out / "checkpoints/step_000004.pt").unlink()
    says(cli.refuses("--resume"), "config.json")


def test_resume_with_other_photographs(cli):
    assert cli.train(*SHORT) == 0
    names = (*NAMES, "d.png")
    write_colmap_bin(cli.data / "sparse/0", [PINHOLE], image_rows(names))
    save(cli.data / "images/d.png", picture())
    says(cli.refuses("--resume"), "3 photographs then, 4 now")


def test_evaluation_of_a_folder_that_is_not_a_run(cli, tmp_path):
    says(cli.complains(["eval", str(tmp_path)]), "not a run folder", "sfumato train")
    assert cli.train(*SHORT) == 0
    (cli.out / "scene.ply").unlink()
    says(cli.complains(["eval", str(cli.out)]), "scene.ply", "missing")


def _full(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_is_one_line(cli, monkeypatch, call):
    monkeypatch.setattr(outputs.os, call, _full)
    line = cli.refuses(*SHORT)
    says(line, "cannot write", "no space left", "free some space")


def test_a_disk_that_fills_up_while_training(cli):
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    with tempfile.TemporaryDirectory() as disk:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True)
        if made.returncode:
            pytest.skip("this machine does not let tests make a small disk")
        try:
            cli.out = Path(disk) / "run"
            line = cli.refuses(*SHORT, "--checkpoint-every", "1")
            says(line, "cannot write", disk, "free some space")
            assert not list(cli.out.rglob(".*.part*"))
        finally:
            subprocess.run(["umount", disk], check=True)
