"""Dynamic scenes as OpenUSD: two prims, of which the moving one has time samples.

``positions`` and ``orientations`` of the moving Gaussians are sampled at each step, between which USD
interpolates; while a Gaussian does not exist it keeps its nearest pose in time and has an opacity of 0.
Evenly spaced steps have integer time codes: ``timeCodesPerSecond`` is the rate of the median step.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from sfumato.scene.dynamic import DynamicScene
from sfumato.scene.dynamic_changes import held
from sfumato.scene.files import usd_stage, values
from sfumato.scene.files.node_transforms import Y_DOWN_UP, y_up
from sfumato.scene.scene import metadata_of

STILL_PATH, MOVING_PATH = "/World/Still", "/World/Moving"
# USD interpolates numeric samples: opacities change within this fraction of the shortest step, before the
# step.
_FADE = 1e-3


def save(scene: DynamicScene, path: Path) -> None:
    """Write a dynamic scene with time samples, float32, y up.

    Args:
        scene: any device or float type, y down.
        path: the file to write; its suffix decides between text, binary and zip.

    Raises:
        FormatError: a field holds NaN or infinity, or a zip would exceed 4 GiB.
        ConfigError: usd-core is not installed.
    """
    values.checked_arrays(scene.at_birth())
    modules = usd_stage.package(path)
    known = metadata_of(scene.gaussians)
    values.warn_of_lost_metadata(known, "OpenUSD", up=Y_DOWN_UP, metres_per_unit=known.metres_per_unit)
    placed = held(y_up(scene))
    sampled = 28 * placed.means.shape[0] * placed.means.shape[1]
    num_bytes = sampled + len(placed) * (44 + 12 * placed.gaussians.sh.shape[1])
    usd_stage.write_contained(modules, path, num_bytes, lambda inner: _write(modules, placed, inner))


def _write(modules: SimpleNamespace, scene: DynamicScene, path: Path) -> None:
    stage = usd_stage.new_stage(modules, path, metadata_of(scene.gaussians))
    # Rounded, so that evenly spaced steps have integer codes.
    codes = [round(time * scene.rate, 6) for time in scene.times.tolist()]
    stage.SetTimeCodesPerSecond(scene.rate)
    stage.SetFramesPerSecond(scene.rate)
    stage.SetStartTimeCode(codes[0])
    stage.SetEndTimeCode(codes[-1])
    still = torch.ones(len(scene), dtype=torch.bool)
    still[scene.ids] = False
    if still.any():
        usd_stage.define_prim(modules, stage, STILL_PATH, scene.gaussians.select(still))
    if len(scene.ids):
        prim = usd_stage.define_prim(modules, stage, MOVING_PATH, scene.gaussians.select(scene.ids))
        _sample_poses(modules, prim, scene, codes)
        _sample_opacities(modules, prim, scene, codes)
    stage.GetRootLayer().Save()


def _sample_poses(modules: SimpleNamespace, prim: Any, scene: DynamicScene, codes: list[float]) -> None:
    scales = scene.gaussians.scales[scene.ids].numpy()
    attributes = prim.GetPositionsAttr(), prim.GetOrientationsAttr(), prim.GetExtentAttr()
    before = np.zeros((len(scene.ids), 4), np.float32)
    for code, means, quats in zip(codes, scene.means.numpy(), scene.quats.numpy(), strict=True):
        # Rotations are interpolated along the shorter arc only if signs agree.
        before = np.where((before * quats).sum(axis=1, keepdims=True) < 0, -quats, quats)
        sampled = (
            modules.Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(means)),
            usd_stage.orientations(modules, before),
            usd_stage.extent(modules, means, scales),
        )
        for attribute, value in zip(attributes, sampled, strict=True):
            attribute.Set(value, code)


def _sample_opacities(modules: SimpleNamespace, prim: Any, scene: DynamicScene, codes: list[float]) -> None:
    """Opacities of 0 before birth and from death on, if any Gaussian has them within the scene."""
    if not (scene.birth.any() or (scene.death < scene.num_steps).any()):
        return
    fade = _FADE * min(np.diff(codes))
    full = values.opacities_of_logits(scene.gaussians.logit_opacities[scene.ids].numpy())
    shown: np.ndarray | None = None
    for step, code in enumerate(codes):
        now = scene.alive(step).numpy()
        if shown is not None and np.array_equal(now, shown):
            continue
        for alive, at in ((shown, code - fade), (now, code)):
            if alive is not None:
                opacities = np.where(alive, full, np.float32(0))
                prim.GetOpacitiesAttr().Set(modules.Vt.FloatArray.FromNumpy(opacities), float(at))
        shown = now
