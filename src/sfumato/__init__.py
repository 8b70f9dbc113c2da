"""Sfumato: photographs to 3D Gaussian scenes, on a plain CPU.

The public names below are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato import ops
    from sfumato.capture.dataset import Capture, View, load_capture
    from sfumato.capture.points import PointCloud
    from sfumato.errors import CaptureError, ConfigError, FormatError, SfumatoError, ShapeError
    from sfumato.evaluation.metrics import psnr, ssim
    from sfumato.evaluation.saved_images import save_image
    from sfumato.evaluation.scenes import evaluate
    from sfumato.fitting.fit_image import fit
    from sfumato.fitting.fitted_image import FittedImage, load_fitted
    from sfumato.levels.save_levels import save_levels
    from sfumato.levels.simplify import simplify
    from sfumato.meshing.mesh import MeshConfig, mesh
    from sfumato.meshing.triangle_mesh import Mesh
    from sfumato.paths.turntable import orbit
    from sfumato.paths.video_writer import write_video
    from sfumato.reconstruction.reconstruct import Reconstruction, reconstruct
    from sfumato.render.gsplat_api import rasterization
    from sfumato.render.output import Render
    from sfumato.render.rasterize import rasterize
    from sfumato.render.raytrace import raytrace
    from sfumato.render.settings import RasterSettings, SurfaceSettings, TraceSettings
    from sfumato.render.surface import render_surface
    from sfumato.runs.envelope_run import trust
    from sfumato.runs.track_folder import load_tracked
    from sfumato.scene.cameras import Camera
    from sfumato.scene.dynamic import DynamicScene
    from sfumato.scene.files import load, save
    from sfumato.scene.files.dynamic_files import save_dynamic
    from sfumato.scene.gaussians import Gaussians
    from sfumato.scene.lenses import Lens
    from sfumato.scene.rays import Rays
    from sfumato.scene.scene import Metadata, Scene
    from sfumato.scene.shutter import Shutter
    from sfumato.splatting.cloud_files import read_cloud
    from sfumato.splatting.measured import MeasuredCloud
    from sfumato.splatting.surface_splats import SplatConfig, SplattedCloud, splat
    from sfumato.training.config import AdcConfig, McmcConfig, Rates, Schedule, TrainConfig
    from sfumato.training.densify.densifier import Densifier
    from sfumato.training.part import Gradients, Part, Refinement, Shot
    from sfumato.training.start import gaussians_from_points
    from sfumato.training.state import TrainState
    from sfumato.training.step import StepStats
    from sfumato.training.target import Target
    from sfumato.training.train import train
    from sfumato.training.warm_up import warm_up
    from sfumato.viewer.notebook import ScenePage, show

_HOMES = {
    "AdcConfig": "training.config",
    "Camera": "scene.cameras",
    "Capture": "capture.dataset",
    "CaptureError": "errors",
    "ConfigError": "errors",
    "Densifier": "training.densify.densifier",
    "DynamicScene": "scene.dynamic",
    "FittedImage": "fitting.fitted_image",
    "FormatError": "errors",
    "Gaussians": "scene.gaussians",
    "Gradients": "training.part",
    "Lens": "scene.lenses",
    "McmcConfig": "training.config",
    "MeasuredCloud": "splatting.measured",
    "Mesh": "meshing.triangle_mesh",
    "MeshConfig": "meshing.mesh",
    "Metadata": "scene.scene",
    "Part": "training.part",
    "PointCloud": "capture.points",
    "RasterSettings": "render.settings",
    "Rates": "training.config",
    "Rays": "scene.rays",
    "Reconstruction": "reconstruction.reconstruct",
    "Refinement": "training.part",
    "Render": "render.output",
    "Scene": "scene.scene",
    "ScenePage": "viewer.notebook",
    "Schedule": "training.config",
    "SfumatoError": "errors",
    "ShapeError": "errors",
    "Shot": "training.part",
    "Shutter": "scene.shutter",
    "SplatConfig": "splatting.surface_splats",
    "SplattedCloud": "splatting.surface_splats",
    "StepStats": "training.step",
    "SurfaceSettings": "render.settings",
    "Target": "training.target",
    "TraceSettings": "render.settings",
    "TrainConfig": "training.config",
    "TrainState": "training.state",
    "View": "capture.dataset",
    "evaluate": "evaluation.scenes",
    "fit": "fitting.fit_image",
    "gaussians_from_points": "training.start",
    "load": "scene.files",
    "load_capture": "capture.dataset",
    "load_fitted": "fitting.fitted_image",
    "load_tracked": "runs.track_folder",
    "mesh": "meshing.mesh",
    "orbit": "paths.turntable",
    "psnr": "evaluation.metrics",
    "rasterization": "render.gsplat_api",
    "rasterize": "render.rasterize",
    "raytrace": "render.raytrace",
    "read_cloud": "splatting.cloud_files",
    "reconstruct": "reconstruction.reconstruct",
    "render_surface": "render.surface",
    "save": "scene.files",
    "save_dynamic": "scene.files.dynamic_files",
    "save_image": "evaluation.saved_images",
    "save_levels": "levels.save_levels",
    "show": "viewer.notebook",
    "simplify": "levels.simplify",
    "splat": "splatting.surface_splats",
    "ssim": "evaluation.metrics",
    "train": "training.train",
    "trust": "runs.envelope_run",
    "warm_up": "training.warm_up",
    "write_video": "paths.video_writer",
}

__all__ = [
    "AdcConfig",
    "Camera",
    "Capture",
    "CaptureError",
    "ConfigError",
    "Densifier",
    "DynamicScene",
    "FittedImage",
    "FormatError",
    "Gaussians",
    "Gradients",
    "Lens",
    "McmcConfig",
    "MeasuredCloud",
    "Mesh",
    "MeshConfig",
    "Metadata",
    "Part",
    "PointCloud",
    "RasterSettings",
    "Rates",
    "Rays",
    "Reconstruction",
    "Refinement",
    "Render",
    "Scene",
    "ScenePage",
    "Schedule",
    "SfumatoError",
    "ShapeError",
    "Shot",
    "Shutter",
    "SplatConfig",
    "SplattedCloud",
    "StepStats",
    "SurfaceSettings",
    "Target",
    "TraceSettings",
    "TrainConfig",
    "TrainState",
    "View",
    "evaluate",
    "fit",
    "gaussians_from_points",
    "load",
    "load_capture",
    "load_fitted",
    "load_tracked",
    "mesh",
    "ops",
    "orbit",
    "psnr",
    "rasterization",
    "rasterize",
    "raytrace",
    "read_cloud",
    "reconstruct",
    "render_surface",
    "save",
    "save_dynamic",
    "save_image",
    "save_levels",
    "show",
    "simplify",
    "splat",
    "ssim",
    "train",
    "trust",
    "warm_up",
    "write_video",
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
