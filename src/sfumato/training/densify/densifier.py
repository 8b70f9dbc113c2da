"""The base class of densification strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.training.context import StepContext
from sfumato.training.part import Gradients, Part, Refinement
from sfumato.training.population import Population

if TYPE_CHECKING:
    from sfumato.training.state import TrainState


# In runs of at most so many steps a densification restarts the moments of all Gaussians. Gradients become
# smaller as Gaussians are added and the error falls, but the mean square of Adam remembers a thousand steps:
# kept, it holds back the Gaussians that were there before. Longer runs keep it (docs/training.md).
_RESTARTS_IN_STEPS = 5000


def restarts_moments(context: StepContext) -> bool:
    """Whether a densification restarts the moments of all Gaussians, not only of those that it changes."""
    return context.run_steps <= _RESTARTS_IN_STEPS


class Densifier(Part):
    """Adds and removes Gaussians; a strategy overrides ``observe`` and ``refine``."""

    name = "densifier"
    has_rows = True

    def step(self, state: TrainState, gradients: Gradients) -> Refinement | None:
        if gradients.context.is_densifying:
            self.observe(gradients)
        if gradients.context.is_settling:
            return None
        return self.refine(state.population, gradients.context)

    def observe(self, gradients: Gradients) -> None:
        """Accumulate a step's gradients, while the number of Gaussians may grow."""

    def refine(self, population: Population, context: StepContext) -> Refinement | None:
        """Change the population after a step; None if no densification was due."""
        return None
