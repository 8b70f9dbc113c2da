"""How the scene of a run is rendered."""

from __future__ import annotations

from sfumato.render.settings import Settings, settings_for
from sfumato.training.config import TrainConfig


def settings_of(config: TrainConfig) -> Settings:
    """Settings of the renderer that a run trains with, for the scene that it writes."""
    return settings_for(config.renderer, antialiased=config.antialiased or None)
