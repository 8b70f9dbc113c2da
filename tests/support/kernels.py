"""Compilation of all kernels that tests use, before the first test that renders.

``python -m support.kernels`` compiles them separately.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch
from filelock import FileLock

from repository import ROOT
from sfumato import machine, ops
from sfumato.ops.cpu.jit import target
from sfumato.ops.cpu.kernel_cache import cache_folder, environment
from sfumato.ops.mesh_hits import mesh_hits
from sfumato.ops.trace_rays import Hierarchy
from sfumato.scene.lenses import PINHOLE, Lens
from sfumato.training.config import AdcConfig, TrainConfig
from sfumato.training.warm_up import take_steps
from support.op_scenes import HEIGHT, WIDTH, ellipses, gradients, moving_frames, moving_neighbours
from support.ray_scenes import LIMITS, PARTS, inputs_of
from support.trace_scenes import pinhole, scene

CONFIG = TrainConfig(steps=4)
PLAIN = replace(CONFIG, adc=AdcConfig(absolute_gradient=False), refine_poses=True)
CAMERAS = [(PINHOLE, False), (Lens("opencv", (0.01, 0.0, 0.0, 0.0)), False)]


@cache
def prepare() -> None:
    """Compile kernels that are not cached yet, or wait until another test process has done so."""
    source = Path(__file__).read_bytes() + repr((target(), machine.cpu_name())).encode()
    stamp = cache_folder() / f"tests_{hashlib.sha256(source).hexdigest()[:16]}"
    with FileLock(f"{stamp}.lock"):
        if not stamp.exists():
            _compile()
            stamp.touch()


def _compile() -> None:
    """Compile in separate processes, like ``warm_up``; each uses one core."""
    path = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))
    env = {**environment(), "PYTHONPATH": path}
    # The kernels of the ray tracer, and all others.
    children = [
        subprocess.Popen([sys.executable, "-c", f"from support.kernels import {part}; {part}()"], env=env)
        for part in ("compile_traced", "compile_others")
    ]
    try:
        codes = [child.wait() for child in children]
    finally:
        for child in children:
            child.kill()
    if any(codes):
        raise RuntimeError(f"the kernels cannot be compiled: exit codes {codes}")


def compile_traced() -> None:
    """Run the kernels of the image tracer with every kind of argument, on tiny input."""
    for strategy in ("adc", "mcmc"):
        take_steps(replace(CONFIG, renderer="trace", strategy=strategy), CAMERAS)
    take_steps(replace(PLAIN, renderer="trace"), CAMERAS)
    _trace()


def compile_others() -> None:
    """The same for all others."""
    for strategy in ("adc", "mcmc"):
        take_steps(replace(CONFIG, strategy=strategy), CAMERAS)
    take_steps(replace(PLAIN, pixel_loss="mse"), CAMERAS)
    take_steps(replace(CONFIG, antialiased=True), CAMERAS[:1])
    _composite()
    _trace_rays()
    _motion_priors()
    moving, fixed = moving_frames(dtype=torch.float32)
    gradients(partial(ops.rigid_motion, **fixed), moving)
    _alignment()
    triangle, ray = torch.eye(3), torch.ones(1, 3)
    mesh_hits(triangle, torch.tensor([[0, 1, 2]]), 0 * ray, ray, torch.zeros(1), torch.ones(1))


def _composite() -> None:
    # Number of channels, and whether the absolute gradient is computed, which needs all channels in one pass.
    for channels, absolute in ((1, False), (3, False), (3, True), (4, False), (4, True), (9, True)):
        inputs = ellipses(channels=channels, dtype=torch.float32)
        fixed = {name: inputs.pop(name) for name in ("depth", "radius_px")}
        probe = {"absgrad_probe": torch.zeros(12, 2)} if absolute else {}
        seen = partial(ops.composite, **fixed, width=WIDTH, height=HEIGHT)
        gradients(seen, inputs | probe)


# Compile-time variants: whether rays have individual orders and origins, whether
# distances are computed, and whether the backward pass includes rays and the absolute gradient.
TRACED = """
exact still distances rays      exact still distances absolute      exact still
exact still rays                exact still absolute
exact moving distances rays     exact moving distances
ordered still distances rays    ordered still distances             ordered still
ordered still rays              ordered still absolute
ordered moving distances rays
"""


def _trace() -> None:
    for words in map(str.split, re.split(r"\s{2,}|\n", TRACED.strip())):
        inputs, options = scene(n=8, directions=pinhole(9, 7)), dict(LIMITS)
        if "moving" in words:
            inputs["offsets"] = torch.full((7, 9, 3), 0.1)
        if "ordered" in words:
            options["depths"] = inputs["means"][:, 2].clone()
        rays = {name: inputs.pop(name) for name in ("eye", "directions", "offsets") if name in inputs}
        (inputs if "rays" in words else options).update(rays)
        if "absolute" in words:
            inputs["absgrad_probe"] = torch.zeros(8)
        gradients(partial(_traced, distances="distances" in words, **options), inputs)
    many = scene(n=8, directions=pinhole(1, 1)) | {"colours": torch.rand(8, 7), "background": torch.rand(7)}
    ops.trace(**many, **LIMITS)


def _traced(**inputs):
    return tuple(output for output in ops.trace(**inputs)[:3] if output is not None)


def _trace_rays() -> None:
    inputs = inputs_of("scattered", m=20)
    parts = [inputs[name] for name in PARTS]
    Hierarchy.build(*parts).refit(*parts)
    gradients(lambda **leaves: ops.trace_rays(**leaves, **LIMITS), inputs)
    coefficients = inputs | {"features": torch.zeros(80, 4, 3)}
    gradients(lambda **leaves: ops.trace_rays(**leaves, **LIMITS, degree=1), coefficients)


def _alignment() -> None:
    points, one, body = torch.ones(1, 3), torch.ones(1), (torch.zeros(1, 3), torch.eye(3)[None])
    photograph = torch.zeros(2, 2, 3), torch.eye(4), torch.eye(3)
    ops.alignment(points, points, one, torch.tensor([0, 1]), *body, *photograph)


def _motion_priors() -> None:
    inputs = moving_neighbours(dtype=torch.float32)
    moving = {name: inputs.pop(name) for name in ("means", "quats")}
    gradients(partial(ops.motion_priors, **inputs), moving)


if __name__ == "__main__":
    # When terminated, it also ends its child processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    prepare()
