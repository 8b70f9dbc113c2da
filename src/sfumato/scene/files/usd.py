"""Scenes as OpenUSD, read and written by the optional package usd-core, version 26.3 or later.

A prim of type ``ParticleField3DGaussianSplat`` with ``positions``, ``orientations``, ``scales`` and
``opacities`` (not their logarithms and logits) and ``radiance:sphericalHarmonicsCoefficients``, all of
one Gaussian together, in our basis and order. y points up. `.usda` is text, `.usdc` and `.usd` are
binary, `.usdz` is a zip that holds a `.usdc`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from sfumato.errors import FormatError
from sfumato.scene.changes import merged
from sfumato.scene.files import colour_space, values
from sfumato.scene.files.codec import Codec
from sfumato.scene.files.node_transforms import Y_DOWN_UP, Y_UP_FROM_SCENE, placed
from sfumato.scene.files.usd_stage import (
    ANTIALIASED,
    CREATOR,
    PRIM_PATH,
    SOURCE,
    SRGB,
    TYPE,
    define_prim,
    new_stage,
    package,
    write_contained,
)
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, Scene, metadata_of, with_metadata

SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
ZIP_MAGIC = b"PK\3\4"
# From a stage with z up to one with y up.
_Y_UP_FROM_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

# Attributes by their names in single precision; in half precision an "h" is appended.
_PARTS = {"positions": 3, "orientations": 4, "scales": 3, "opacities": 1}
_SH = "radiance:sphericalHarmonicsCoefficients"
_SH_DEGREE = "radiance:sphericalHarmonicsDegree"

_log = logging.getLogger(__name__)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is USD: text, binary, or a zip whose first entry is one of them."""
    if head.startswith((b"#usda ", b"PXR-USDC")):
        return True
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")] if head.startswith(ZIP_MAGIC) else b""
    return name.lower().endswith(tuple(suffix.encode() for suffix in SUFFIXES[:3]))


def load(path: Path) -> Scene:
    """Read the Gaussians of a USD stage, all prims together, at its first point in time.

    Args:
        path: the file. Other layers to which it refers are read from its own folder only.

    Returns:
        float32 on the CPU, y down.

    Raises:
        FormatError: USD cannot read it, it holds no Gaussians, or counts do not match.
        ConfigError: usd-core is not installed.
    """
    usd = package(path)
    # Suppresses messages on stderr.
    quiet = usd.UsdUtils.CoalescingDiagnosticDelegate()
    try:
        return _read(usd, path)
    except usd.Tf.ErrorException:
        raise FormatError(f"{path} cannot be read as OpenUSD: it is damaged or no USD file") from None
    finally:
        del quiet


def _read(usd: SimpleNamespace, path: Path) -> Scene:
    stage = _open(usd, path)
    scene_from_world = Y_UP_FROM_SCENE
    if usd.UsdGeom.GetStageUpAxis(stage) == usd.UsdGeom.Tokens.z:
        scene_from_world = Y_UP_FROM_SCENE @ _Y_UP_FROM_Z_UP
    first = usd.Usd.TimeCode.EarliestTime()
    parts = []
    for prim in stage.Traverse():
        if prim.GetTypeName() != TYPE:
            continue
        part = _read_prim(usd, path, prim, first)
        # Vectors of USD are rows, multiplied from the left.
        world_from_prim = np.array(usd.UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(first)).T
        parts.append(placed(part, scene_from_world @ world_from_prim, f"{path}: {prim.GetPath()}"))
    if not parts:
        raise FormatError(f"{path} holds no Gaussians: it has no prim of type {TYPE}")
    scene = merged(*parts)
    unit = (
        float(usd.UsdGeom.GetStageMetersPerUnit(stage)) if stage.HasAuthoredMetadata("metersPerUnit") else 0.0
    )
    known = Metadata(
        metadata_of(scene).antialiased,
        Y_DOWN_UP,
        unit if 0 < unit < np.inf else None,
        source=_source(stage.GetRootLayer()),
    )
    return with_metadata(scene, known)


def save(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians as one prim of a USD stage, float32, y up.

    Args:
        gaussians: the scene, any device or float type, y down.
        path: the file to write; its suffix decides between text, binary and zip.

    Raises:
        FormatError: a field holds NaN or infinity, or a zip would exceed 4 GiB.
        ConfigError: usd-core is not installed.
    """
    values.checked_arrays(gaussians)
    usd = package(path)
    known = metadata_of(gaussians)
    values.warn_of_lost_metadata(known, "OpenUSD", up=Y_DOWN_UP, metres_per_unit=known.metres_per_unit)
    on_host = gaussians.map(lambda tensor: tensor.detach().to("cpu", torch.float32))
    scene = placed(on_host, Y_UP_FROM_SCENE, "the scene")
    bytes_needed = len(scene) * (44 + 12 * scene.sh.shape[1])
    write_contained(usd, path, bytes_needed, lambda inner: _write_stage(usd, scene, inner))


CODEC = Codec("OpenUSD", SUFFIXES, recognises, load, save, check=package)


def _open(usd: SimpleNamespace, path: Path) -> Any:
    """The stage of a file; refused if it refers to files outside its folder."""
    stage = usd.Usd.Stage.Open(str(path.resolve()))
    folder = path.resolve().parent
    for layer in stage.GetUsedLayers():
        if not layer.anonymous and not Path(layer.realPath or "/").is_relative_to(folder):
            raise FormatError(f"{path} draws on {ascii(layer.identifier)[:80]}, outside its folder")
    return stage


def _read_prim(usd: SimpleNamespace, path: Path, prim: Any, first: Any) -> Gaussians:
    """The Gaussians of one prim, in its own frame."""
    what = f"{path}: {prim.GetPath()}"
    by_name = {name: _numbers(what, prim, name, width, first) for name, width in _PARTS.items()}
    found = {name: array for name, array in by_name.items() if array is not None}
    if len(found) < len(by_name):
        raise FormatError(f"{what} has no {', '.join(name for name in by_name if name not in found)}")
    count = len(found["positions"])
    short = [name for name, array in found.items() if len(array) < count]
    if short:
        raise FormatError(f"{what} has fewer {', '.join(short)} than its {count} positions")
    sh = _read_sh(what, prim, count, first)
    space = (
        usd.Usd.ColorSpaceAPI(prim).GetColorSpaceNameAttr().Get() if _has_colour_space(usd, prim) else SRGB
    )
    if str(space).startswith("lin_"):
        colour_space.encode_sh(sh)
        _log.warning("%s has linear colours; what depends on the view is sRGB-encoded to first order", what)
    arrays = {
        "means": found["positions"],
        "log_scales": values.log_of_scales(found["scales"][:count]),
        "quats": np.roll(found["orientations"][:count], 1, axis=1),
        "logit_opacities": values.logit_of_opacities(found["opacities"][:count, 0]),
        "sh": sh,
    }
    return values.scene_of(arrays, Metadata(antialiased=prim.GetCustomDataByKey(ANTIALIASED) is True))


def _source(layer: Any) -> str | None:
    """The program that made a stage, if its root layer names one."""
    noted = layer.customLayerData
    named = (noted.get(SOURCE), noted.get(CREATOR), layer.documentation)
    return next((text for text in named if isinstance(text, str) and text), None)


def _has_colour_space(usd: SimpleNamespace, prim: Any) -> bool:
    return hasattr(usd.Usd, "ColorSpaceAPI") and prim.HasAPI(usd.Usd.ColorSpaceAPI)


def _read_sh(what: str, prim: Any, count: int, first: Any) -> np.ndarray:
    degree = prim.GetAttribute(_SH_DEGREE).Get(first)
    flat = _numbers(what, prim, _SH, 3, first)
    if flat is None:
        return np.zeros((count, 1, 3), np.float32)
    size = (degree + 1) ** 2 if type(degree) is int and degree >= 0 else 0
    if not size or len(flat) < count * size:
        raise FormatError(f"{what} has {len(flat)} SH coefficients; {count} Gaussians need {size} each")
    if degree > values.MAX_SH_DEGREE:
        _log.warning("%s has %s", what, values.degrees_dropped(degree))
    return flat[: count * size].reshape(count, size, 3)[:, : values.MAX_SH_COEFFICIENTS].copy()


def _numbers(what: str, prim: Any, name: str, width: int, first: Any) -> np.ndarray | None:
    """[count, width] float32 of an attribute, preferably in single precision, or None."""
    for candidate in (name, f"{name}h"):
        value = prim.GetAttribute(candidate).Get(first) if prim.HasAttribute(candidate) else None
        if value is None:
            continue
        array = np.asarray(value)
        if array.dtype.kind != "f" or array.ndim != 1 + (width > 1) or array.shape[1:] not in ((), (width,)):
            raise FormatError(f"{what} has {candidate} of another type than it should be")
        return array.reshape(-1, width).astype(np.float32)
    return None


def _write_stage(usd: SimpleNamespace, scene: Gaussians, path: Path) -> None:
    stage = new_stage(usd, path, metadata_of(scene))
    define_prim(usd, stage, PRIM_PATH, scene)
    stage.GetRootLayer().Save()
