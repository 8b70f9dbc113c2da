"""How the scene of a run is rendered."""

from __future__ import annotations

from sfumato.render.settings import Settings, settings_for
from sfumato.training.config import TrainConfig


def settings_of(config: TrainConfig, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Settings:
    """Settings of the renderer that a run trains with, for the scene that it writes.

    Args:
        config: of the run.
        background: RGB in [0, 1] behind the scene.
    """
    antialiased = config.antialiased or None
    return settings_for(config.renderer, antialiased=antialiased, background=background, depth=False)
