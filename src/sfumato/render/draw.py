"""Rendering with the renderer that the settings select."""

from __future__ import annotations

from sfumato.render.output import Render
from sfumato.render.rasterize import rasterize
from sfumato.render.raytrace import raytrace
from sfumato.render.settings import Settings, TraceSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


def draw(gaussians: Gaussians, camera: Camera, settings: Settings) -> Render:
    """Render a scene from a camera; see ``rasterize`` and ``raytrace``."""
    if isinstance(settings, TraceSettings):
        return raytrace(gaussians, camera, settings)
    return rasterize(gaussians, camera, settings)
