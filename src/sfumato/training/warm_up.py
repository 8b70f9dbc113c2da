"""Compilation of kernels before the time budget of a run starts."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from sfumato import ops
from sfumato.capture.cache import ByteCache
from sfumato.capture.dataset import Capture, View
from sfumato.capture.pixels import Pixels
from sfumato.capture.points import PointCloud
from sfumato.children import FOLDER, call_of, child_command
from sfumato.display import Display
from sfumato.evaluation.scenes import drawn
from sfumato.ops.backend import HOST
from sfumato.ops.project import IDEAL_LENSES
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.scene.shutter import Shutter
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of
from sfumato.training.state import start
from sfumato.training.step import train_step

_log = logging.getLogger("sfumato")

_SIDE_PX = 32
_GAUSSIANS = 16
_STEPS = 4
_DEFAULT = TrainConfig()


def prepare_kernels(
    config: TrainConfig, cameras: Iterable[Camera], display: Display, device: torch.device = HOST
) -> None:
    """Warm up, with a message on ``display``.

    Args:
        config: of the run.
        cameras: of the run.
        display: also says if it will take long.
        device: of the run.
    """
    from sfumato.ops.cpu.kernel_cache import SUFFIX, cache_folder

    some = any(cache_folder().glob(f"*{SUFFIX}"))
    first = "" if some else ", for the first time on this machine: about a minute"
    with display.waiting(f"preparing kernels{first}"):
        warm_up(config, cameras, device)


def warm_up(
    config: TrainConfig = _DEFAULT, cameras: Iterable[Camera] = (), device: torch.device = HOST
) -> None:
    """Take a few steps on a tiny scene, so that every kernel that rendering and training need is compiled.

    Kernels that are not cached yet are compiled in a separate process: freshly compiled code rounds
    differently from the same code loaded from the cache (Numba optimises the two differently), and a run
    must not depend on whether it was the first one on its machine.

    Args:
        config: of the run.
        cameras: of the run, as distorted lenses and rolling shutters need other kernels.
        device: of the run. On another than the host kernels are compiled in this process.
    """
    kinds = _kinds(cameras)
    if device.type == HOST.type:
        run_compiled(take_steps, config, kinds, last_first=compile_last)
    else:
        take_steps(config, kinds, device)


def run_compiled(
    work: Callable[..., None], *arguments: object, last_first: Callable[..., None] | None = None
) -> None:
    """Call a function whose kernels come from the cache; any that is missing is compiled by another process.

    The function is called until the first missing kernel, and again once all are there.

    Args:
        work: a function at the top level of a module.
        arguments: of the function; they can be pickled.
        last_first: compiles some of the kernels in another process at the same time, those that ``work``
            needs last first; of the same arguments.
    """
    from sfumato.ops.cpu.ahead import beside
    from sfumato.ops.cpu.kernel_cache import KernelMissing, environment, only_cached

    with suppress(KernelMissing), only_cached():
        work(*arguments)
        return
    code = call_of(compile_in_subprocess)
    other = nullcontext() if last_first is None else beside(code, _pickled(last_first, arguments))
    with other:
        done = subprocess.run(
            child_command(code),
            input=_pickled(work, arguments),
            capture_output=True,
            cwd=FOLDER,
            env=environment(),
        )
    if done.returncode != 0:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"code {done.returncode}"]
        _log.warning("another process failed to compile kernels (%s); this one compiles them", why[0])
    work(*arguments)


def _pickled(work: Callable[..., None], arguments: tuple[object, ...]) -> bytes:
    return pickle.dumps((work.__module__, work.__name__, arguments))


def compile_in_subprocess() -> None:
    """A child process of ``run_compiled``."""
    from sfumato.ops.cpu.kernel_cache import KernelCache

    KernelCache.announced = True
    module, name, arguments = pickle.load(sys.stdin.buffer)
    getattr(import_module(module), name)(*arguments)


def _kinds(cameras: Iterable[Camera]) -> list[tuple[Lens, bool]]:
    """One lens for each combination of lens model and shutter type among ``cameras``."""
    found = {(camera.lens.model, camera.shutter is not None): camera.lens for camera in cameras}
    return [(found[model, rolls], rolls) for model, rolls in sorted(found)] or [(PINHOLE, False)]


def take_steps(config: TrainConfig, kinds: list[tuple[Lens, bool]], device: torch.device = HOST) -> None:
    """The steps of ``warm_up``, in this process."""
    schedule = replace(config.schedule, refine_every=1, refine_from=0.0, refine_until=0.5, poses_from=0.0)
    tiny = replace(config, steps=_STEPS, minutes=None, schedule=schedule)
    size = (_SIDE_PX, _SIDE_PX)
    pose = torch.eye(4, dtype=torch.float64)
    for lens, rolls in kinds:
        camera = Camera(pose, (30.0, 30.0), (16.0, 16.0), size, lens, Shutter(pose) if rolls else None)
        capture = tiny_capture(camera)
        state = start(capture, tiny, cap=2 * _GAUSSIANS, device=device)
        for _ in range(_STEPS):
            train_step(state, [0])
        with torch.no_grad():
            drawn(state.gaussians, settings_of(config, state.background))(camera)


def compile_last(config: TrainConfig, kinds: list[tuple[Lens, bool]]) -> None:
    """Compile kernels of ``take_steps``, about the last ones first."""
    from sfumato.ops.cpu import composite, trace

    absolute = config.strategy == "adc" and config.adc.absolute_gradient
    images = composite if config.renderer == "raster" else trace
    images.compile_ahead(3, (absolute, False) if absolute else (False,))
    image = torch.zeros(1, 1, 3, requires_grad=True)
    ops.photometric_loss(image, image.detach(), torch.ones(1, 1), pixel_loss=config.pixel_loss).backward()
    leaf, scales = torch.ones(1, 4, requires_grad=True), torch.ones(1, 3, requires_grad=True)
    covariances = ops.covariance(leaf, scales)
    covariances.sum().backward()
    one = torch.ones(1, 4)
    ops.adam_step(one, one, one.clone(), one.clone(), one[:, 0] > 0, rate=1.0, step=1)
    if config.renderer == "raster":
        eye, shape = torch.eye(4), covariances.detach().requires_grad_()
        for model in sorted({lens.model for lens, _ in kinds}.intersection(IDEAL_LENSES)):
            found = ops.project(scales, shape, eye, eye[:3, :3], width=1, height=1, model=model)
            found.mean_px.sum().backward()


def tiny_capture(camera: Camera) -> Capture:
    """A grey picture in memory, and a few points before its camera."""
    grey = Pixels(np.full((_SIDE_PX, _SIDE_PX, 3), 128, np.uint8))
    xyz = np.random.default_rng(0).uniform((-0.5, -0.5, 1.5), (0.5, 0.5, 2.5), (_GAUSSIANS, 3))
    points = PointCloud(xyz.astype(np.float32), np.full((_GAUSSIANS, 3), 128, np.uint8))
    cache: ByteCache[Pixels] = ByteCache(0)
    view = View("grey", camera, 0, lambda: grey, cache)
    return Capture(Path(), (view,), points, True, frozenset(), "none", None, cache)
