"""Sfumato: photographs to 3D Gaussian scenes, on a plain CPU.

The public names below are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato import ops
    from sfumato.capture.dataset import Capture, View, load_capture
    from sfumato.errors import CaptureError, ConfigError, FormatError, SfumatoError, ShapeError
    from sfumato.evaluation.metrics import psnr, ssim
    from sfumato.evaluation.scenes import evaluate
    from sfumato.reconstruction.run import Reconstruction, reconstruct
    from sfumato.render.gsplat_api import rasterization
    from sfumato.render.output import Render
    from sfumato.render.rasterize import rasterize
    from sfumato.render.raytrace import raytrace
    from sfumato.render.settings import RasterSettings, TraceSettings
    from sfumato.scene.cameras import Camera
    from sfumato.scene.files import load, save
    from sfumato.scene.gaussians import Gaussians
    from sfumato.scene.lenses import Lens
    from sfumato.scene.rays import Rays
    from sfumato.scene.scene import Metadata, Scene
    from sfumato.scene.shutter import Shutter
    from sfumato.training.config import AdcConfig, McmcConfig, Rates, Schedule, TrainConfig
    from sfumato.training.train import train

_HOMES = {
    "AdcConfig": "training.config",
    "Camera": "scene.cameras",
    "Capture": "capture.dataset",
    "CaptureError": "errors",
    "ConfigError": "errors",
    "FormatError": "errors",
    "Gaussians": "scene.gaussians",
    "Lens": "scene.lenses",
    "McmcConfig": "training.config",
    "Metadata": "scene.scene",
    "RasterSettings": "render.settings",
    "Rates": "training.config",
    "Rays": "scene.rays",
    "Reconstruction": "reconstruction.run",
    "Render": "render.output",
    "Scene": "scene.scene",
    "Schedule": "training.config",
    "SfumatoError": "errors",
    "ShapeError": "errors",
    "Shutter": "scene.shutter",
    "TraceSettings": "render.settings",
    "TrainConfig": "training.config",
    "View": "capture.dataset",
    "evaluate": "evaluation.scenes",
    "load": "scene.files",
    "load_capture": "capture.dataset",
    "psnr": "evaluation.metrics",
    "rasterization": "render.gsplat_api",
    "rasterize": "render.rasterize",
    "raytrace": "render.raytrace",
    "reconstruct": "reconstruction.run",
    "save": "scene.files",
    "ssim": "evaluation.metrics",
    "train": "training.train",
}

__all__ = [
    "AdcConfig",
    "Camera",
    "Capture",
    "CaptureError",
    "ConfigError",
    "FormatError",
    "Gaussians",
    "Lens",
    "McmcConfig",
    "Metadata",
    "RasterSettings",
    "Rates",
    "Rays",
    "Reconstruction",
    "Render",
    "Scene",
    "Schedule",
    "SfumatoError",
    "ShapeError",
    "Shutter",
    "TraceSettings",
    "TrainConfig",
    "View",
    "evaluate",
    "load",
    "load_capture",
    "ops",
    "psnr",
    "rasterization",
    "rasterize",
    "raytrace",
    "reconstruct",
    "save",
    "ssim",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("sfumato")
    if name == "ops":
        return import_module("sfumato.ops")
    if name in _HOMES:
        found = globals()[name] = getattr(import_module(f"sfumato.{_HOMES[name]}"), name)
        return found
    raise AttributeError(f"module 'sfumato' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
