"""What a densification strategy is to the training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.render.output import Render
from sfumato.scene.gaussians import Gaussians
from sfumato.training.clearance import Clearance
from sfumato.training.population import Population


@dataclass(frozen=True)
class Refinement:
    """How a refinement changed the number of Gaussians."""

    added: int
    removed: int


@dataclass(frozen=True)
class Moment:
    """Where in the run a step stands.

    Attributes:
        step: steps done, this one included.
        progress: share of the run that is done.
        allowed: number of Gaussians allowed now.
        means_rate: learning rate of the means in this step, scene units.
        depth: how far the scene is from the cameras, scene units.
        clearance: the cameras, and where no Gaussian belongs.
        generator: source of random numbers.
    """

    step: int
    progress: float
    allowed: int
    means_rate: float
    depth: float
    clearance: Clearance
    generator: torch.Generator


class Densifier(Protocol):
    """Decides where Gaussians are added and which are removed."""

    absolute_gradient: bool

    def penalty(self, gaussians: Gaussians, distances: Tensor) -> Tensor | None:
        """A term to add to the loss, or None; ``distances`` [n] are from the camera of the step."""

    def observe(self, render: Render) -> None:
        """See a render after its backward pass, while the number of Gaussians may grow."""

    def refine(self, population: Population, now: Moment) -> Refinement | None:
        """Change the population after a step; None where nothing was due."""

    def state_dict(self) -> dict: ...

    def load_state_dict(self, saved: dict) -> None: ...
