"""What a render may vary in."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.errors import ConfigError
from sfumato.ops.constants import BLUR_PX2, FAR, NEAR


@dataclass(frozen=True)
class RasterSettings:
    """Settings of the rasterizer.

    Attributes:
        background: RGB in [0, 1] behind everything.
        sh_degree: highest SH degree evaluated; None: all that the scene has.
        antialiased: divide the energy that the blur adds back out of the opacity (Mip-Splatting's
            2D filter), so that a scene looks alike at other resolutions.
        blur_px2: variance added to every ellipse, px^2.
        near, far: camera z that is drawn, scene units.
        depth: render the expected depth too.
        absolute_gradient: gather the absolute gradient of the ellipse centres in the backward pass.
    """

    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sh_degree: int | None = None
    antialiased: bool = False
    blur_px2: float = BLUR_PX2
    near: float = NEAR
    far: float = FAR
    depth: bool = True
    absolute_gradient: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.near < self.far:
            raise ConfigError(f"near {self.near} and far {self.far} must be positive and in this order")
        if self.blur_px2 < 0:
            raise ConfigError(f"blur_px2 is {self.blur_px2}; give 0 or more")
        if self.sh_degree not in (None, 0, 1, 2, 3):
            raise ConfigError(f"sh_degree is {self.sh_degree}; give 0 to 3, or None for all")
