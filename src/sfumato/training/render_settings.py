"""Render settings of a run's scene."""

from __future__ import annotations

from dataclasses import replace

from sfumato.ops.constants import BLUR_PX2
from sfumato.render.settings import RasterSettings, Settings, settings_for
from sfumato.training.config import TrainConfig


def settings_of(
    config: TrainConfig, background: tuple[float, float, float] = (0.0, 0.0, 0.0), *, reduction: float = 1.0
) -> Settings:
    """Settings of the renderer of a run, for its saved scene.

    Args:
        config: of the run.
        background: RGB in [0, 1] behind the scene.
        reduction: factor by which pictures are smaller than at native size, see ``reduction_of``.
    """
    antialiased = config.antialiased or None
    settings = settings_for(config.renderer, antialiased=antialiased, background=background, depth=False)
    if config.native_blur and isinstance(settings, RasterSettings):
        return replace(settings, blur_px2=BLUR_PX2 / reduction**2)
    return settings
