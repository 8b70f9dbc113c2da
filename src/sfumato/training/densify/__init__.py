"""Strategies that change the number of Gaussians during training."""

from sfumato.training.config import TrainConfig
from sfumato.training.densify.adc import AdaptiveDensityControl
from sfumato.training.densify.densifier import Densifier
from sfumato.training.densify.mcmc import MarkovChain


def make_densifier(config: TrainConfig) -> Densifier:
    """The strategy selected by a configuration."""
    if config.strategy == "mcmc":
        return MarkovChain(config.mcmc, config.schedule)
    return AdaptiveDensityControl(config.adc, config.schedule)


__all__ = ["Densifier", "make_densifier"]
