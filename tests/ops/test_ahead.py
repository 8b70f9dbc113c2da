"""A second process compiles kernels; processes that need the same kernel compile it once."""

import subprocess
import sys
import time

import pytest
import torch
from filelock import FileLock
from numba.core.dispatcher import Dispatcher

from sfumato import Camera, Gaussians, machine, rasterize
from sfumato.ops.cpu import ahead, composite, kernel_cache
from sfumato.ops.cpu.image_trace.backward import trace_backward
from sfumato.ops.cpu.image_trace.gradients import trace_gradients
from sfumato.ops.cpu.jit import serial_kernel
from sfumato.ops.cpu.raster import blend, splats, tiles
from sfumato.scene.lenses import PINHOLE
from sfumato.training.config import TrainConfig
from sfumato.training.warm_up import compile_last, take_steps

pytestmark = pytest.mark.kernels


def halved(x):
    return 0.5 * x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A separate cache folder, announced as one in use."""
    monkeypatch.setenv("SFUMATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_cache.KernelCache, "announced", True)
    kernel_cache.cache_folder.cache_clear()
    yield kernel_cache.cache_folder()
    kernel_cache.cache_folder.cache_clear()


HOLD = """
import sys, time
from pathlib import Path
from filelock import FileLock
lock, kernel, content, seconds = sys.argv[1:]
with FileLock(lock):
    print("held", flush=True)
    time.sleep(float(seconds))
    if content:
        Path(kernel).write_bytes(Path(content).read_bytes())
"""


def held_elsewhere(path, seconds, content=""):
    """Another process that holds the lock of a kernel file, and then writes the file."""
    words = [path.with_suffix(".lock"), path, content, seconds]
    process = subprocess.Popen([sys.executable, "-c", HOLD, *map(str, words)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def compiled():
    kernel = serial_kernel(halved)
    assert kernel(3.0) == 1.5
    return kernel


def test_a_kernel_that_another_process_compiles_is_waited_for(folder, tmp_path):
    compiled()
    (path,) = folder.glob("*.nbc")
    (tmp_path / "kept").write_bytes(path.read_bytes())
    path.unlink()
    with held_elsewhere(path, 0.5, tmp_path / "kept"):
        begun = time.monotonic()
        kernel = compiled()
    assert sum(kernel.stats.cache_hits.values()) == 1
    assert time.monotonic() - begun > 0.3
    with FileLock(path.with_suffix(".lock"), timeout=0):
        """The lock is free again."""


@pytest.mark.parametrize("how", ["ended", "stopped"])
def test_a_process_that_compiles_nothing_is_not_waited_for_long(folder, monkeypatch, how):
    compiled()
    (path,) = folder.glob("*.nbc")
    path.unlink()
    monkeypatch.setattr(kernel_cache, "_LONGEST_COMPILATION_S", 0.5 if how == "stopped" else 60)
    with held_elsewhere(path, 60) as process:
        if how == "ended":
            process.kill()
        kernel = compiled()
        process.kill()
    assert sum(kernel.stats.cache_misses.values()) == 1


def test_code_runs_beside_a_block_and_ends_with_it(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    note = tmp_path / "note"
    code = f"import os, sys, time; open({str(note)!r}, 'wb').write(sys.stdin.buffer.read()); time.sleep(60)"
    with ahead.beside(code, b"given"):
        while not note.exists() or note.read_bytes() != b"given":
            time.sleep(0.01)
        begun = time.monotonic()
    assert time.monotonic() - begun < 30


def test_a_single_core_compiles_in_one_process(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    monkeypatch.setattr(subprocess, "Popen", None)
    with ahead.beside("raise SystemExit"):
        """No process was started."""


def signatures(*kernels):
    found = [getattr(kernel, "compiled", kernel) for kernel in kernels]
    assert all(isinstance(kernel, Dispatcher) for kernel in found)
    return [set(kernel.signatures) for kernel in found]


BLENDING = (blend.composite_forward, tiles.block_masks, tiles.scatter_pairs, splats.splat_records)
BLENDING += (tiles.count_chunks, blend.composite_backward, splats.gather_gradients)
TRACING = (trace_backward, trace_gradients, tiles.count_chunks, tiles.scatter_pairs)


@pytest.mark.parametrize("renderer", ["raster", "trace"])
def test_what_is_compiled_ahead_is_what_steps_need(renderer):
    """The kernels that do not depend on the number of Gaussians in a scene."""
    config, kinds = TrainConfig(renderer=renderer), [(PINHOLE, False)]
    kernels = BLENDING if renderer == "raster" else TRACING
    take_steps(config, kinds)
    needed = signatures(*kernels)
    compile_last(config, kinds)
    assert signatures(*kernels) == needed and all(needed)


def test_the_first_picture_needs_what_is_compiled_ahead():
    composite.compile_ahead(channels=4)
    before = signatures(blend.composite_forward, tiles.block_masks)
    zeros = torch.zeros(1, 3)
    one = Gaussians(torch.ones(1, 3), zeros, torch.ones(1, 4), zeros[:, 0], zeros[None])
    rasterize(one, Camera(torch.eye(4), (8.0, 8.0), (4.0, 4.0), (8, 8)))
    assert signatures(blend.composite_forward, tiles.block_masks) == before
