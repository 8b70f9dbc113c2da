"""All options of tracking, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from sfumato.errors import ConfigError

# With control nodes aligned first, more photographs per step improve little.
_VISITS = 54


@dataclass(frozen=True)
class Priors:
    """Weights of the priors on motion, beside a photometric loss of weight 1.

    Attributes:
        rigidity: neighbours keep their positions in each other's frames, relative to the previous step.
        rotation: neighbours rotate alike, relative to the previous step.
        isometry: neighbours keep their distances of the first step.
    """

    rigidity: float = 0.1
    rotation: float = 0.4
    isometry: float = 0.2

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not (weight >= 0 and isfinite(weight)):
                raise ConfigError(f"priors.{name} is {weight}; give a number of at least 0")


@dataclass(frozen=True)
class TrackConfig:
    """Options of tracking.

    Attributes:
        views_per_step: photographs used in each step after the first, equally often from each camera; None:
            about 54, and at least two from each training camera.
        nodes: number of control nodes, which are aligned between the photographs of two steps before the
            other Gaussians are optimised; 0: none.
        rate_start: learning rate of positions at the start of a step, as a motion in pixels of the median
            camera.
        rate_end: the same at its end; it decays log-linearly.
        forward_motion: start each step from the extrapolated motion of the previous one.
        ssim_weight: share of 1 - SSIM in the loss.
        neighbours: number of neighbours of each moving Gaussian, for the priors.
        soften_edges: weaken the priors between neighbours whose distance changes for several steps, for
            objects that bend or separate.
        births: add Gaussians for objects that appear later, and end those of objects that disappear.
        priors: weights.
        seed: of all random numbers.
    """

    views_per_step: int | None = None
    nodes: int = 96
    rate_start: float = 0.6
    rate_end: float = 0.06
    forward_motion: bool = True
    ssim_weight: float = 0.2
    neighbours: int = 20
    soften_edges: bool = False
    births: bool = True
    priors: Priors = field(default_factory=Priors)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.views_per_step is not None and self.views_per_step < 1:
            raise ConfigError(f"views_per_step is {self.views_per_step}; give at least 1")
        if self.nodes < 0 or self.neighbours < 1:
            raise ConfigError(f"nodes is {self.nodes} and neighbours {self.neighbours}; give 0 and 1 or more")
        if not 0 < self.rate_end <= self.rate_start < float("inf"):
            raise ConfigError(
                f"rate_start is {self.rate_start} and rate_end {self.rate_end}; the rate falls: give more "
                "than 0, the second smaller"
            )
        if not 0 <= self.ssim_weight <= 1:
            raise ConfigError(f"ssim_weight is {self.ssim_weight}; give a number from 0 to 1")

    def visits(self, cameras: int) -> int:
        """Number of photographs used in a step, for a number of training cameras that have one."""
        if self.views_per_step is not None:
            return self.views_per_step
        return cameras * max(2, round(_VISITS / cameras)) if cameras else 0
