"""Rendering with the renderer that the settings select."""

from __future__ import annotations

from sfumato.render.output import Render
from sfumato.render.rasterize import rasterize
from sfumato.render.raytrace import raytrace
from sfumato.render.settings import Settings, SurfaceSettings, TraceSettings
from sfumato.render.surface import render_surface
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


def draw(gaussians: Gaussians, camera: Camera, settings: Settings) -> Render:
    """Render a scene from a camera; see ``rasterize``, ``raytrace`` and ``render_surface``."""
    if isinstance(settings, TraceSettings):
        return raytrace(gaussians, camera, settings)
    if isinstance(settings, SurfaceSettings):
        return render_surface(gaussians, camera, settings)
    return rasterize(gaussians, camera, settings)
