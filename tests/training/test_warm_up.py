"""What is compiled before a run."""

import subprocess
from dataclasses import replace

import pytest
import torch

from sfumato import children
from sfumato.ops.cpu import kernel_cache
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import Lens
from sfumato.scene.shutter import Shutter
from sfumato.training import warm_up
from sfumato.training.config import TrainConfig

pytestmark = pytest.mark.kernels

POSE = torch.eye(4, dtype=torch.float64)
PLAIN = Camera(POSE, (30.0, 30.0), (16.0, 16.0), (32, 32))
BENT = replace(PLAIN, lens=Lens("opencv", (0.01, 0.0, 0.0, 0.0)))
ROLLING = replace(PLAIN, shutter=Shutter(POSE))


@pytest.mark.parametrize("cameras", [(), (PLAIN,), (BENT, PLAIN, BENT), (ROLLING, PLAIN)])
def test_steps_are_taken_with_every_kind_of_camera(cameras, monkeypatch):
    met = []

    def step(state, views):
        (camera,) = {state.views[number].camera for number in views}
        met.append((camera.lens.model, camera.shutter is not None))

    monkeypatch.setattr(warm_up, "train_step", step)
    monkeypatch.setattr(warm_up, "drawn", lambda *_, **__: lambda camera: None)
    warm_up.take_steps(TrainConfig(), warm_up._kinds(cameras))
    wanted = {(camera.lens.model, camera.shutter is not None) for camera in cameras or (PLAIN,)}
    assert set(met) == wanted and len(met) == 4 * len(wanted)


def test_kinds_of_cameras_have_stamps_of_their_own():
    stamps = {warm_up._stamp(TrainConfig(), warm_up._kinds([camera])) for camera in (PLAIN, BENT, ROLLING)}
    assert len(stamps) == 3
    assert warm_up._stamp(TrainConfig(), warm_up._kinds([])) in stamps


@pytest.mark.parametrize("damage", ["cut", "gone", "no stamp", "stamp"])
def test_kernels_are_compiled_apart_where_any_is_damaged(tmp_path, monkeypatch, damage):
    """Code just compiled rounds otherwise than code read back, so the run itself compiles nothing."""
    asked = []

    def compile_apart(command, *, input, capture_output, cwd, env):
        asked.append((command, cwd, env["SFUMATO_CACHE"]))
        kernel_cache.write_bytes(folder / "a.nbc", good)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    kernel_cache.cache_folder.cache_clear()
    monkeypatch.setattr(warm_up, "take_steps", lambda *_: None)
    monkeypatch.setattr(warm_up.subprocess, "run", compile_apart)
    folder, good = kernel_cache.cache_folder(), kernel_cache.hashlib.sha256(b"code").digest() + b"code"
    for _ in range(2):
        warm_up.warm_up(TrainConfig())
    ((command, cwd, cache),) = asked
    assert command == children.child_command(command[-1].partition("\n")[2])
    assert cwd == children.FOLDER and cache == str(tmp_path / "cache")
    (stamp,) = folder.glob("warm_*")
    assert stamp.read_text() == "a.nbc"
    if damage == "cut":
        (folder / "a.nbc").write_bytes(good[:-1])
    elif damage == "gone":
        (folder / "a.nbc").unlink()
    elif damage == "no stamp":
        stamp.unlink()
    else:
        stamp.write_bytes(b"a/nbc\xff")
    for _ in range(2):
        warm_up.warm_up(TrainConfig())
    assert len(asked) == 2
    kernel_cache.cache_folder.cache_clear()
