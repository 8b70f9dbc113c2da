"""Averaging of the scenes over the last steps of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sfumato.scene.gaussians import Gaussians
from sfumato.training.part import Gradients, Part

if TYPE_CHECKING:
    from sfumato.training.state import TrainState

# Steps between two scenes that are averaged, as consecutive ones hardly differ.
_EVERY = 10


class Average(Part):
    """Running mean of every parameter over the last steps of a run.

    After each step the scene is biased towards the photographs just seen; averaging removes this bias
    (stochastic weight averaging, Izmailov et al. 2018). Quaternions are averaged as they are stored, since
    they change little.

    Attributes:
        gaussians: the mean, or None before the first scene.
        count: number of scenes in it.
    """

    name = "average"
    has_rows = True
    gaussians: Gaussians | None
    count: int

    def __init__(self) -> None:
        self.forget()

    def step(self, state: TrainState, gradients: Gradients) -> None:
        if gradients.context.is_settling:
            self.add(state.population.gaussians, state.step)
        else:
            # A run that is resumed with more steps is no longer in its last phase.
            self.forget()

    def forget(self) -> None:
        """Reset, as the number of Gaussians may have changed."""
        self.gaussians, self.count = None, 0

    def add(self, gaussians: Gaussians, step: int) -> None:
        """Add every tenth scene to the mean; the number of Gaussians must not change."""
        if step % _EVERY:
            return
        self.count += 1
        if self.gaussians is None:
            self.gaussians = gaussians.map(lambda t: t.detach().clone())
            return
        latest = gaussians.tensors()
        with torch.no_grad():
            for name, mean in self.gaussians.tensors().items():
                mean.lerp_(latest[name], 1 / self.count)

    def state_dict(self) -> dict[str, Any]:
        mean = self.gaussians
        return {"gaussians": None if mean is None else mean.tensors(), "count": self.count}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        parts = saved["gaussians"]
        self.gaussians = None if parts is None else Gaussians(**{k: t.clone() for k, t in parts.items()})
        self.count = saved["count"]
