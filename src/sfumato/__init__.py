"""Sfumato: photographs to 3D Gaussian scenes, on a plain CPU.

The public names below are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato import evaluate, reconstruct, train
    from sfumato.capture.dataset import Capture, View, load_capture
    from sfumato.errors import CaptureError, ConfigError, FormatError, SfumatoError, ShapeError
    from sfumato.reconstruct.run import Reconstruction
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
    from sfumato.train.config import TrainConfig

_HOMES = {
    "Camera": "scene.cameras",
    "Capture": "capture.dataset",
    "CaptureError": "errors",
    "ConfigError": "errors",
    "FormatError": "errors",
    "Gaussians": "scene.gaussians",
    "Lens": "scene.lenses",
    "RasterSettings": "render.settings",
    "Metadata": "scene.scene",
    "Rays": "scene.rays",
    "Reconstruction": "reconstruct.run",
    "Render": "render.output",
    "Scene": "scene.scene",
    "SfumatoError": "errors",
    "ShapeError": "errors",
    "Shutter": "scene.shutter",
    "TrainConfig": "train.config",
    "View": "capture.dataset",
    "TraceSettings": "render.settings",
    "load": "scene.files",
    "load_capture": "capture.dataset",
    "rasterization": "render.gsplat_api",
    "rasterize": "render.rasterize",
    "raytrace": "render.raytrace",
    "save": "scene.files",
}
# Packages that can be called: sfumato.train(capture) is short for sfumato.train.run.train(capture).
_VERBS = ("evaluate", "reconstruct", "train")

__all__ = [
    "Camera",
    "Capture",
    "CaptureError",
    "ConfigError",
    "FormatError",
    "Gaussians",
    "Lens",
    "Metadata",
    "RasterSettings",
    "Rays",
    "Reconstruction",
    "Render",
    "Scene",
    "SfumatoError",
    "ShapeError",
    "Shutter",
    "TraceSettings",
    "TrainConfig",
    "View",
    "evaluate",
    "load",
    "load_capture",
    "rasterization",
    "rasterize",
    "raytrace",
    "reconstruct",
    "save",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("sfumato")
    if name in _VERBS:
        return import_module(f"sfumato.{name}")
    if name in _HOMES:
        found = globals()[name] = getattr(import_module(f"sfumato.{_HOMES[name]}"), name)
        return found
    raise AttributeError(f"module 'sfumato' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
