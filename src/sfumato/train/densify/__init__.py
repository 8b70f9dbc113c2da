"""Strategies that change the number of Gaussians during training."""

from sfumato.train.config import TrainConfig
from sfumato.train.densify.adc import AdaptiveDensityControl
from sfumato.train.densify.mcmc import MarkovChain
from sfumato.train.densify.protocol import Densifier, Moment, Refinement


def make_densifier(config: TrainConfig) -> Densifier:
    """The strategy that a configuration names."""
    if config.strategy == "mcmc":
        return MarkovChain(config.mcmc, config.schedule)
    return AdaptiveDensityControl(config.adc, config.schedule)


__all__ = ["Densifier", "Moment", "Refinement", "make_densifier"]
