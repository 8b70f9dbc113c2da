"""Compilation of kernels before a run."""

import os
import subprocess
from dataclasses import replace

import pytest
import torch

from sfumato.cli import main
from sfumato.ops.cpu import kernel_cache
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import Lens
from sfumato.scene.shutter import Shutter
from sfumato.training import warm_up
from sfumato.training.config import TrainConfig
from support.processes import call_kernel

pytestmark = pytest.mark.kernels

POSE = torch.eye(4, dtype=torch.float64)
PLAIN = Camera(POSE, (30.0, 30.0), (16.0, 16.0), (32, 32))
BENT = replace(PLAIN, lens=Lens("opencv", (0.01, 0.0, 0.0, 0.0)))
ROLLING = replace(PLAIN, shutter=Shutter(POSE))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A new cache folder."""
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    kernel_cache.cache_folder.cache_clear()
    yield kernel_cache.cache_folder()
    kernel_cache.cache_folder.cache_clear()


@pytest.mark.parametrize("cameras", [(), (PLAIN,), (BENT, PLAIN, BENT), (ROLLING, PLAIN)])
def test_steps_are_taken_with_every_kind_of_camera(cameras, monkeypatch):
    met = []

    def step(state, views):
        (camera,) = {state.views[number].camera for number in views}
        met.append((camera.lens.model, camera.shutter is not None))

    monkeypatch.setattr(warm_up, "train_step", step)
    monkeypatch.setattr(warm_up, "drawn", lambda *_, **__: lambda camera: None)
    warm_up.warm_up(TrainConfig(), cameras)
    wanted = {(camera.lens.model, camera.shutter is not None) for camera in cameras or (PLAIN,)}
    assert set(met) == wanted and len(met) == 4 * len(wanted)


def test_steps_on_another_device_are_taken_at_once(monkeypatch):
    met = []
    monkeypatch.setattr(warm_up, "run_compiled", None)
    monkeypatch.setattr(warm_up, "take_steps", lambda config, kinds, device: met.append(device))
    warm_up.warm_up(TrainConfig(), (PLAIN,), torch.device("meta"))
    assert met == [torch.device("meta")]


def test_the_command_compiles_for_each_given_renderer(monkeypatch, capsys):
    compiled = []
    monkeypatch.setattr(
        warm_up, "run_compiled", lambda _, config, *__, **___: compiled.append(config.renderer)
    )
    assert main(["warmup", "--renderers", "raster", "trace"]) == 0
    assert compiled == ["raster", "trace"]
    assert "kernels of the renderer trace are ready after" in capsys.readouterr().out


@pytest.mark.slow
def test_missing_kernels_are_compiled_by_another_process(tmp_path, folder):
    """Freshly compiled code may round differently from cached code, so the run itself compiles nothing."""
    this, other = processes_that_ran(tmp_path)
    assert this == os.getpid() != other
    assert processes_that_ran(tmp_path) == [this], "its kernel is in the cache now"
    assert len(list(folder.glob("*.nbc"))) == 1


def processes_that_ran(folder):
    """Have a kernel called, and return the processes that did it, in their order."""
    warm_up.run_compiled(call_kernel, folder)
    note = folder / "processes"
    found = [int(line) for line in note.read_text().split()]
    note.unlink()
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(
    ("code", "words", "said"), [(1, b"...\nno memory\n", "no memory"), (-9, b"", "code -9")]
)
def test_kernels_that_no_other_process_can_compile_are_compiled(
    tmp_path, folder, monkeypatch, caplog, code, words, said
):
    failed = subprocess.CompletedProcess((), code, b"", words)
    monkeypatch.setattr(warm_up.subprocess, "run", lambda *_, **__: failed)
    assert processes_that_ran(tmp_path) == [os.getpid()]
    assert any(folder.glob("*.nbc"))
    assert f"failed to compile kernels ({said}); this one compiles them" in caplog.text
