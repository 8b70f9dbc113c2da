"""Settings of the renderers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfumato.checks import number
from sfumato.errors import ConfigError
from sfumato.ops.constants import BLUR_PX2
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import metadata_of


@dataclass(frozen=True)
class RasterSettings:
    """Settings of the rasterizer.

    Attributes:
        background: RGB in [0, 1] behind everything.
        sh_degree: highest SH degree evaluated; None: all that the scene has.
        colour: how ``sh`` encodes colour, a form of ``ops.colour``: "sh" in all files.
        antialiased: lower the opacity to compensate for the blur (Mip-Splatting's 2D filter), so that a
            scene looks alike at other resolutions. None: as recorded in ``Scene.metadata``, where there
            are ellipses.
        blur_px2: variance added to every ellipse, px^2.
        near, far: camera z between which Gaussians are rendered, scene units; None: 0.002 times the median
            distance of the Gaussians, and no far plane.
        depth: render the expected depth too.
        absolute_gradient: accumulate the absolute gradient of the ellipse centres in the backward pass.
    """

    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sh_degree: int | None = None
    colour: str = "sh"
    antialiased: bool | None = None
    blur_px2: float = BLUR_PX2
    near: float | None = None
    far: float | None = None
    depth: bool = True
    absolute_gradient: bool = False

    def __post_init__(self) -> None:
        _check(self)
        if self.blur_px2 < 0:
            raise ConfigError(f"blur_px2 is {self.blur_px2}; give 0 or more")


@dataclass(frozen=True)
class TraceSettings:
    """Settings of the ray tracer.

    Attributes:
        background: RGB in [0, 1] behind everything.
        sh_degree: highest SH degree evaluated; None: all that the scene has.
        colour: how ``sh`` encodes colour, a form of ``ops.colour``: "sh" in all files.
        near, far: distances along a ray between which hits count, scene units; None: 0.002 times the
            median distance of the Gaussians, and no far limit.
        depth: render the expected depth too.
        absolute_gradient: accumulate the absolute gradient of the means in the backward pass.
    """

    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sh_degree: int | None = None
    colour: str = "sh"
    near: float | None = None
    far: float | None = None
    depth: bool = True
    absolute_gradient: bool = False

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class SurfaceSettings(RasterSettings):
    """Settings of surface splatting: those of the rasterizer, and the depth of a surface.

    Attributes:
        tolerance: depth of a surface, in units of the largest standard deviation of its frontmost splat.
    """

    tolerance: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not number("tolerance", self.tolerance) > 0:
            raise ConfigError(f"tolerance is {self.tolerance}; give more than 0")
        if self.absolute_gradient:
            raise ConfigError("surface splatting has no gradients: leave absolute_gradient out")


Settings = RasterSettings | TraceSettings


def settings_for(renderer: str, *, antialiased: bool | None = None, **shared: Any) -> Settings:
    """Settings of the renderer that a user named.

    Args:
        renderer: "raster", "trace" or "surface".
        antialiased: see RasterSettings; the ray tracer has no such mode.
        shared: settings that all renderers have.

    Raises:
        ConfigError: the name is none of them, or the ray tracer is to be antialiased.
    """
    if renderer == "raster":
        return RasterSettings(antialiased=antialiased, **shared)
    if renderer == "surface":
        return SurfaceSettings(antialiased=antialiased, **shared)
    if renderer != "trace":
        raise ConfigError(f"renderer {renderer!r} is unknown: give raster, trace or surface")
    if antialiased:
        raise ConfigError("antialiased is a mode of the rasterizer: leave it out with renderer trace")
    return TraceSettings(**shared)


def renderer_of(settings: Settings) -> str:
    """The renderer to which settings belong: "raster", "trace" or "surface"."""
    if isinstance(settings, SurfaceSettings):
        return "surface"
    return "trace" if isinstance(settings, TraceSettings) else "raster"


def is_antialiased(settings: Settings, gaussians: Gaussians) -> bool:
    """Whether a scene is rendered with the filter of ``RasterSettings.antialiased``."""
    if isinstance(settings, TraceSettings):
        return False
    return metadata_of(gaussians).antialiased if settings.antialiased is None else settings.antialiased


def _check(settings: Settings) -> None:
    near, far = settings.near, settings.far
    for name, limit in (("near", near), ("far", far)):
        if limit is not None and not number(name, limit) > 0:
            raise ConfigError(f"{name} is {limit}; give more than 0")
    if near is not None and far is not None and not near < far:
        raise ConfigError(f"near {near} and far {far} must be in this order")
    if settings.sh_degree not in (None, 0, 1, 2, 3):
        raise ConfigError(f"sh_degree is {settings.sh_degree}; give 0 to 3, or None for all")
    background = settings.background
    if not isinstance(background, tuple | list) or len(background) != 3:
        raise ConfigError(f"background is {background!r}; give red, green and blue")
    for value in background:
        number("background", value)
