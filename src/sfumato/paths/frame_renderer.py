"""Frames of a path: colour, depth or normals, rendered exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from sfumato.errors import ConfigError
from sfumato.evaluation.saved_images import colour_map
from sfumato.render.draw import draw
from sfumato.render.insert import Insert, MeshRenderer
from sfumato.render.output import Render
from sfumato.render.png import to_uint8
from sfumato.render.settings import RasterSettings, Settings, TraceSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussian_normals import coloured_by_normals, facing_normals
from sfumato.scene.gaussians import Gaussians

KINDS = ("colour", "depth", "normals")
# Pixels with less alpha than this show no depth or normals.
_LEAST_ALPHA = 0.05
# Number of cameras whose depths determine the range of a path, and the share cut off at each end of it.
_MEASURED, _TAIL = 8, 0.02
_MEASURED_SIDE_PX = 160


@dataclass(frozen=True)
class Look:
    """How frames are rendered.

    Attributes:
        settings: of the renderer.
        inserts: meshes in the scene, for the ray tracer.
    """

    settings: Settings = RasterSettings()
    inserts: tuple[Insert, ...] = ()


def frame_renderer(
    kind: str, scene_of: Callable[[int], Gaussians], cameras: Sequence[Camera], look: Look
) -> Callable[[int], np.ndarray]:
    """A function from the number of a frame to the frame, uint8 [h, w, 3].

    Args:
        kind: one of ``KINDS``. Depth is bright where it is near, over one range of inverse depth for the
            whole path. Normals are the shortest axes of the Gaussians in the camera's frame: red to the
            right, green upwards, blue towards the camera.
        scene_of: the scene of a frame, by its number.
        cameras: all of the path, one a frame.
        look: how frames are rendered.

    Raises:
        ConfigError: there are meshes, which the rasterizer cannot render.
    """
    settings = replace(look.settings, depth=False)
    if kind == "depth":
        return _depth_painter(_drawing(scene_of, look, replace(settings, depth=True)), cameras)
    if kind == "normals":
        black = replace(settings, background=(0.0, 0.0, 0.0))
        return lambda number: _normals(scene_of(number).detach(), cameras[number], black)
    shown = _drawing(scene_of, look, settings)
    return lambda number: to_uint8(shown(number, cameras[number]).image)


def _drawing(
    scene_of: Callable[[int], Gaussians], look: Look, settings: Settings
) -> Callable[[int, Camera], Render]:
    """A function from the number of a frame and a camera to the render of the scene with its meshes."""
    if not look.inserts:
        return lambda number, camera: draw(scene_of(number).detach(), camera, settings)
    if not isinstance(settings, TraceSettings):
        raise ConfigError("meshes need the ray tracer: renderer trace")
    traced = settings
    last: tuple[Gaussians, MeshRenderer] | None = None

    def render(number: int, camera: Camera) -> Render:
        nonlocal last
        scene = scene_of(number)
        # A static scene has one stage for all frames.
        if last is None or last[0] is not scene:
            last = scene, MeshRenderer(scene.detach(), look.inserts, traced)
        return last[1].render(camera)

    return render


def _depth_painter(
    shown: Callable[[int, Camera], Render], cameras: Sequence[Camera]
) -> Callable[[int], np.ndarray]:
    near, far = _range(shown, cameras)

    def paint(number: int) -> np.ndarray:
        render = shown(number, cameras[number])
        assert render.depth is not None
        # Relative to near, so that units do not matter.
        inverse = near / render.depth.clamp_min(1e-6 * near)
        share = (inverse - near / far) / max(1 - near / far, 1e-6)
        picture = colour_map(share.clamp(0, 1).cpu().numpy())
        return np.where((render.alpha >= _LEAST_ALPHA).cpu().numpy()[..., None], picture, 0).astype(np.uint8)

    return paint


def _range(shown: Callable[[int, Camera], Render], cameras: Sequence[Camera]) -> tuple[float, float]:
    """Nearest and farthest depth of a typical frame of a path, without outliers."""
    found = []
    for index in np.unique(np.linspace(0, len(cameras) - 1, _MEASURED).round().astype(int)):
        camera = cameras[index]
        scale = min(1.0, _MEASURED_SIDE_PX / max(camera.size_px))
        small = camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
        render = shown(int(index), small)
        assert render.depth is not None
        depths = render.depth[render.alpha >= 0.5].cpu().numpy()
        if len(depths):
            found.append(np.quantile(depths, [_TAIL, 1 - _TAIL]))
    near, far = np.median(found, axis=0) if found else (1.0, 2.0)
    return float(near), float(far)


def _normals(scene: Gaussians, camera: Camera, settings: Settings) -> np.ndarray:
    """Blend the normals, which are the shortest axes of the Gaussians, flipped towards the camera."""
    rotation = camera.camera_from_world[:3, :3].to(scene.means)
    normals = facing_normals(scene, camera.centre_world) @ rotation.T
    render = draw(coloured_by_normals(scene, normals), camera, settings)
    blended = 2 * render.image - render.alpha[..., None]
    unit = torch.nn.functional.normalize(blended, dim=-1) * blended.new_tensor([1.0, -1.0, -1.0])
    return to_uint8(torch.where(render.alpha[..., None] >= _LEAST_ALPHA, 0.5 + 0.5 * unit, 0.0))
