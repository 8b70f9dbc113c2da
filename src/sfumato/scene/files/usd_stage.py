"""OpenUSD stages of Gaussians: the required package, a new stage, a prim, and the zip container."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from sfumato.errors import ConfigError, FormatError
from sfumato.extras import command_for, extra_module
from sfumato.scene.files import values
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import GENERATOR, Metadata, metadata_of

TYPE = "ParticleField3DGaussianSplat"
SRGB = "srgb_rec709_display"
# Our own key in the prim's custom data, as OpenUSD has none.
ANTIALIASED = "antialiased"
# Keys in the root layer's customLayerData: the program that wrote the file, as in other tools, and our own.
CREATOR, SOURCE = "creator", "source"
PRIM_PATH = "/World/Gaussians"
# USD's reader does not support zip64.
MAX_ZIP_BYTES = 2**32 - 1


def package(path: Path) -> SimpleNamespace:
    """The modules of usd-core."""
    extra_module("pxr", "usd", f"{path} (OpenUSD)")
    from pxr import Tf, Usd, UsdGeom, UsdUtils, UsdVol, Vt

    if not hasattr(UsdVol, TYPE):
        raise ConfigError(f"{path.suffix} files need OpenUSD 26.3 or later: run: {command_for('usd')}")
    return SimpleNamespace(Tf=Tf, Usd=Usd, UsdGeom=UsdGeom, UsdUtils=UsdUtils, UsdVol=UsdVol, Vt=Vt)


def write_contained(usd: SimpleNamespace, path: Path, num_bytes: int, write: Callable[[Path], None]) -> None:
    """Write a stage, or a binary one within a zip if the suffix is ``.usdz``.

    Args:
        usd: modules of usd-core.
        path: the file to write.
        num_bytes: approximate size.
        write: write the stage to a path.

    Raises:
        FormatError: a zip would exceed 4 GiB.
    """
    if path.suffix.lower() != ".usdz":
        write(path)
        return
    if num_bytes > MAX_ZIP_BYTES - 2**20:
        raise FormatError("the scene cannot be saved: a .usdz ends at 4 GiB; save it as .usdc")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".sfumato") as folder:
        inner = Path(folder) / "scene.usdc"
        write(inner)
        if not usd.UsdUtils.CreateNewUsdzPackage(str(inner), str(path)):
            raise FormatError("the scene cannot be saved: usd-core could not make the .usdz")


def new_stage(usd: SimpleNamespace, path: Path, known: Metadata) -> Any:
    """An empty stage, y up, not yet saved."""
    stage = usd.Usd.Stage.CreateNew(str(path))
    usd.UsdGeom.SetStageUpAxis(stage, usd.UsdGeom.Tokens.y)
    usd.UsdGeom.SetStageMetersPerUnit(stage, known.metres_per_unit or 1.0)
    stage.GetRootLayer().customLayerData = {CREATOR: GENERATOR} | (
        {SOURCE: known.source} if known.source else {}
    )
    stage.SetDefaultPrim(usd.UsdGeom.Xform.Define(stage, str(Path(PRIM_PATH).parent)).GetPrim())
    return stage


def define_prim(usd: SimpleNamespace, stage: Any, prim_path: str, scene: Gaussians) -> Any:
    """Make a prim of Gaussians, float32 on the CPU, y up.

    Returns:
        The prim, a ``ParticleField3DGaussianSplat``.
    """
    prim = usd.UsdVol.ParticleField3DGaussianSplat.Define(stage, prim_path)
    vectors, numbers = usd.Vt.Vec3fArray.FromNumpy, usd.Vt.FloatArray.FromNumpy
    means, scales = scene.means.numpy(), np.exp(scene.log_scales.numpy())
    prim.CreatePositionsAttr(vectors(np.ascontiguousarray(means)))
    prim.CreateScalesAttr(vectors(scales))
    prim.CreateOrientationsAttr(orientations(usd, scene.quats.numpy()))
    prim.CreateOpacitiesAttr(numbers(values.opacities_of_logits(scene.logit_opacities.numpy())))
    prim.CreateRadianceSphericalHarmonicsDegreeAttr(scene.sh_degree)
    flat = np.ascontiguousarray(scene.sh.numpy().reshape(-1, 3))
    coefficients = prim.CreateRadianceSphericalHarmonicsCoefficientsAttr(vectors(flat))
    coefficients.SetMetadata("elementSize", scene.sh.shape[1])
    if metadata_of(scene).antialiased:
        prim.GetPrim().SetCustomDataByKey(ANTIALIASED, True)
    prim.CreateProjectionModeHintAttr("perspective")
    prim.CreateSortingModeHintAttr("zDepth")
    if len(scene):
        prim.CreateExtentAttr(extent(usd, means, scales))
    if hasattr(usd.Usd, "ColorSpaceAPI"):
        usd.Usd.ColorSpaceAPI.Apply(prim.GetPrim()).CreateColorSpaceNameAttr(SRGB)
    return prim


def orientations(usd: SimpleNamespace, quats: np.ndarray) -> Any:
    """USD's array of rotations [n, 4] (w, x, y, z) of any length."""
    unit = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    # In memory the real part is last.
    return usd.Vt.QuatfArray.FromNumpy(np.ascontiguousarray(np.roll(unit, -1, axis=1)))


def extent(usd: SimpleNamespace, means: np.ndarray, scales: np.ndarray) -> Any:
    """USD's bounding box of Gaussians, to three standard deviations."""
    reach = 3 * scales.max(axis=1, keepdims=True)
    corners = [(means - reach).min(axis=0), (means + reach).max(axis=0)]
    return usd.Vt.Vec3fArray.FromNumpy(np.stack(corners).astype(np.float32))
