"""The one place where the number of Gaussians changes: parameters and Adam's moments move together."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from sfumato.scene.gaussians import Gaussians


@dataclass
class Population:
    """The Gaussians in training with what Adam remembers of each.

    Attributes:
        gaussians: leaf tensors that require gradients.
        means_of_gradient, means_of_square: Adam's moments, one tensor a field, same shapes.
    """

    gaussians: Gaussians
    means_of_gradient: Gaussians
    means_of_square: Gaussians

    @staticmethod
    def starting_with(gaussians: Gaussians) -> Population:
        """Leaves with a copy of the given values, and zero moments."""
        gaussians = gaussians.map(lambda t: t.detach().clone())
        zeros = gaussians.map(lambda t: torch.zeros_like(t, requires_grad=False))
        return Population(_leaves(gaussians), zeros, zeros.map(torch.clone))

    def __len__(self) -> int:
        return len(self.gaussians)

    def rows(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """(parameter, mean of gradient, mean of square) of a field."""
        return tuple(
            getattr(part, name) for part in (self.gaussians, self.means_of_gradient, self.means_of_square)
        )

    def rearrange(self, source: Tensor, fresh: Tensor, values: Gaussians) -> None:
        """Replace the Gaussians; moments follow their rows and start at zero where fresh.

        Args:
            source: [m] int64 row that each new row comes from.
            fresh: [m] bool rows whose moments start anew.
            values: m Gaussians, the new parameters.
        """

        def carry(moment: Tensor) -> Tensor:
            carried = moment[source]
            carried[fresh] = 0.0
            return carried

        self.gaussians = _leaves(values)
        self.means_of_gradient = self.means_of_gradient.map(carry)
        self.means_of_square = self.means_of_square.map(carry)

    def forget(self, name: str) -> None:
        """Zero the moments of one field, after its values were changed by hand."""
        _, first, second = self.rows(name)
        first.zero_()
        second.zero_()

    def clear_gradients(self) -> None:
        for f in fields(self.gaussians):
            getattr(self.gaussians, f.name).grad = None

    def state_dict(self) -> dict:
        parts = {
            "gaussians": self.gaussians.detach(),
            "means_of_gradient": self.means_of_gradient,
            "means_of_square": self.means_of_square,
        }
        return {key: {f.name: getattr(g, f.name) for f in fields(g)} for key, g in parts.items()}

    @staticmethod
    def from_state_dict(saved: dict) -> Population:
        parts = {key: Gaussians(**tensors) for key, tensors in saved.items()}
        return Population(_leaves(parts["gaussians"]), parts["means_of_gradient"], parts["means_of_square"])


def _leaves(gaussians: Gaussians) -> Gaussians:
    return gaussians.map(lambda t: t.detach().contiguous().requires_grad_())
