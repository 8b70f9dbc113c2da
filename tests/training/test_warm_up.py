"""Compilation of kernels before a run."""

import contextlib
import hashlib
import os
import subprocess
from dataclasses import replace

import pytest
import torch

from sfumato import children
from sfumato.cli import main
from sfumato.ops.cpu import ahead, kernel_cache
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import Lens
from sfumato.scene.shutter import Shutter
from sfumato.training import warm_up
from sfumato.training.config import TrainConfig
from support.processes import leave_kernel

pytestmark = pytest.mark.kernels

POSE = torch.eye(4, dtype=torch.float64)
PLAIN = Camera(POSE, (30.0, 30.0), (16.0, 16.0), (32, 32))
BENT = replace(PLAIN, lens=Lens("opencv", (0.01, 0.0, 0.0, 0.0)))
ROLLING = replace(PLAIN, shutter=Shutter(POSE))
KERNEL = hashlib.sha256(b"code").digest() + b"code"


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A new cache folder; returns the child processes started to compile, each of which leaves one kernel."""
    asked = []

    def compile_in_subprocess(command, *, input, capture_output, cwd, env):
        asked.append((command, cwd, env["SFUMATO_CACHE"]))
        kernel_cache.write_bytes(kernel_cache.cache_folder() / "a.nbc", KERNEL)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    kernel_cache.cache_folder.cache_clear()
    monkeypatch.setattr(warm_up.subprocess, "run", compile_in_subprocess)
    monkeypatch.setattr(ahead, "beside", lambda *_: contextlib.nullcontext())
    yield asked
    kernel_cache.cache_folder.cache_clear()


@pytest.mark.parametrize("cameras", [(), (PLAIN,), (BENT, PLAIN, BENT), (ROLLING, PLAIN)])
def test_steps_are_taken_with_every_kind_of_camera(cameras, asked, monkeypatch):
    met = []

    def step(state, views):
        (camera,) = {state.views[number].camera for number in views}
        met.append((camera.lens.model, camera.shutter is not None))

    monkeypatch.setattr(warm_up, "train_step", step)
    monkeypatch.setattr(warm_up, "drawn", lambda *_, **__: lambda camera: None)
    warm_up.warm_up(TrainConfig(), cameras)
    wanted = {(camera.lens.model, camera.shutter is not None) for camera in cameras or (PLAIN,)}
    assert set(met) == wanted and len(met) == 4 * len(wanted)


def test_each_kind_of_camera_is_compiled_once(asked, monkeypatch):
    monkeypatch.setattr(warm_up, "take_steps", lambda *_: None)
    for number, camera in enumerate((PLAIN, BENT, ROLLING), 1):
        for cameras in ([camera], [camera, camera]):
            warm_up.warm_up(TrainConfig(), cameras)
        assert len(asked) == number
    warm_up.warm_up(TrainConfig())
    assert len(asked) == 3, "cameras are pinholes by default"


def test_steps_on_another_device_are_taken_at_once(asked, monkeypatch):
    met = []
    monkeypatch.setattr(warm_up, "take_steps", lambda config, kinds, device: met.append(device))
    warm_up.warm_up(TrainConfig(), (PLAIN,), torch.device("meta"))
    assert met == [torch.device("meta")] and not asked


@pytest.mark.parametrize("damage", ["cut", "gone", "no stamp", "stamp"])
def test_kernels_are_compiled_in_children_if_any_is_damaged(asked, tmp_path, monkeypatch, damage):
    """Freshly compiled code may round differently from cached code, so the run itself compiles nothing."""
    monkeypatch.setattr(warm_up, "take_steps", lambda *_: None)
    folder = kernel_cache.cache_folder()
    for _ in range(2):
        warm_up.warm_up(TrainConfig())
    ((command, cwd, cache),) = asked
    assert command == children.child_command(command[-1].partition("\n")[2])
    assert cwd == children.FOLDER and cache == str(tmp_path / "cache")
    (stamp,) = folder.glob("warm_*")
    assert stamp.read_text() == "a.nbc"
    if damage == "cut":
        (folder / "a.nbc").write_bytes(KERNEL[:-1])
    elif damage == "gone":
        (folder / "a.nbc").unlink()
    elif damage == "no stamp":
        stamp.unlink()
    else:
        stamp.write_bytes(b"a/nbc\xff")
    for _ in range(2):
        warm_up.warm_up(TrainConfig())
    assert len(asked) == 2


def test_the_command_compiles_for_each_given_renderer(monkeypatch, capsys):
    compiled = []
    monkeypatch.setattr(
        warm_up, "run_compiled", lambda _, config, *__, **___: compiled.append(config.renderer)
    )
    assert main(["warmup", "--renderers", "raster", "trace"]) == 0
    assert compiled == ["raster", "trace"]
    assert "kernels of the renderer trace are ready after" in capsys.readouterr().out


def test_kernels_are_compiled_by_another_process(tmp_path, monkeypatch):
    """Which exists: without it, a run would compile them itself, each time, and have other bits."""
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    kernel_cache.cache_folder.cache_clear()
    try:
        for _ in range(2):
            warm_up.run_compiled(leave_kernel, tmp_path, key="one")
    finally:
        kernel_cache.cache_folder.cache_clear()
    other, *this = (int(line) for line in (tmp_path / "processes").read_text().split())
    assert other != os.getpid() and this == 2 * [os.getpid()]
    (stamp,) = (tmp_path / "cache").rglob("warm_*")
    assert stamp.read_text() == "a.nbc"
