"""The Gaussians in training: named parameters, each with Adam's moments.

Only here does the number of Gaussians change, so that parameters and moments stay consistent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.ops import adam_step
from sfumato.scene.gaussians import Gaussians
from sfumato.training.colour_form import RATE
from sfumato.training.config import TrainConfig
from sfumato.training.schedules import rate_of

if TYPE_CHECKING:
    from sfumato.training.part import Gradients


@dataclass
class Parameter:
    """A field of the Gaussians in training.

    Attributes:
        values: [n, ...] leaf tensor; it requires gradients unless it is frozen.
        exp_avg, exp_avg_sq: [n, ...] Adam's running means of the gradient and of its square.
    """

    values: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor


class Population:
    """The Gaussians in training.

    Attributes:
        parameters: by name of the field of ``Gaussians``.
        frozen: names of those that are not trained; densification may still change them.
    """

    parameters: dict[str, Parameter]
    frozen: frozenset[str]

    def __init__(self, parameters: dict[str, Parameter], frozen: Iterable[str] = ()) -> None:
        self.parameters, self.frozen = parameters, frozenset(frozen)
        self._source: Tensor | None = None
        self._replace({name: parameter.values for name, parameter in parameters.items()})

    @staticmethod
    def starting_with(gaussians: Gaussians, frozen: Iterable[str] = ()) -> Population:
        """A population with a copy of the given values, and zero moments."""

        def parameter(values: Tensor) -> Parameter:
            zeros = torch.zeros_like(values, requires_grad=False)
            return Parameter(values, zeros, zeros.clone())

        values = {name: tensor.detach().clone() for name, tensor in gaussians.tensors().items()}
        return Population({name: parameter(tensor) for name, tensor in values.items()}, frozen)

    def __len__(self) -> int:
        return len(self._gaussians)

    @property
    def gaussians(self) -> Gaussians:
        """The leaves as a scene."""
        return self._gaussians

    @property
    def trained(self) -> dict[str, Tensor]:
        """The trained leaves, by name."""
        return {name: p.values for name, p in self.parameters.items() if name not in self.frozen}

    def descend(self, found: Gradients, config: TrainConfig) -> None:
        """One Adam step on every trained field, for the visible Gaussians.

        Args:
            found: gradients of this step.
            config: with the learning rates.
        """
        seen = found.visible > 0
        for name, gradient in found.of_gaussians.items():
            p, rate = self.parameters[name], _rate(name, found, config)
            adam_step(
                p.values.detach(), gradient, p.exp_avg, p.exp_avg_sq, seen, rate=rate, step=found.context.step
            )

    def rearrange(self, source: Tensor, fresh: Tensor, values: Gaussians) -> None:
        """Replace the Gaussians; moments are copied with their rows, or zero where fresh.

        Args:
            source: [m] int64 old row of each new row.
            fresh: [m] bool, new rows with zero moments.
            values: m Gaussians, the new parameters.
        """

        def carry(moment: Tensor) -> Tensor:
            carried = moment[source]
            carried[fresh] = 0.0
            return carried

        for p in self.parameters.values():
            p.exp_avg, p.exp_avg_sq = carry(p.exp_avg), carry(p.exp_avg_sq)
        self._replace(values.tensors())
        self._source = source if self._source is None else self._source[source]

    def take_source(self) -> Tensor | None:
        """[m] int64 row, at the last call, from which each Gaussian was made; None if none was rearranged."""
        source, self._source = self._source, None
        return source

    def forget(self, name: str) -> None:
        """Zero the moments of one field, after its values were set directly."""
        self.parameters[name].exp_avg.zero_()
        self.parameters[name].exp_avg_sq.zero_()

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        return {
            name: {"values": p.values.detach(), "exp_avg": p.exp_avg, "exp_avg_sq": p.exp_avg_sq}
            for name, p in self.parameters.items()
        }

    @staticmethod
    def from_state_dict(saved: dict[str, dict[str, Tensor]], frozen: Iterable[str] = ()) -> Population:
        return Population({name: Parameter(**tensors) for name, tensors in saved.items()}, frozen)

    def _replace(self, values: dict[str, Tensor]) -> None:
        for name, tensor in values.items():
            leaf = tensor.detach().contiguous()
            self.parameters[name].values = leaf.requires_grad_(name not in self.frozen)
        self._gaussians = Gaussians(**{name: p.values for name, p in self.parameters.items()})


def _rate(name: str, found: Gradients, config: TrainConfig) -> float | Tensor:
    """Learning rate of a field; for ``sh`` one per column, up to the degree in use.

    The mean gradient of a batch of views is less noisy, so rates grow with the square root of its size.

    Source: Zhao et al. 2024 (Grendel), section 4.2.
    """
    context, batch = found.context, math.sqrt(len(found.views))
    if name == "means":
        return batch * context.means_rate
    if name != "sh":
        return batch * rate_of(config.rates, name, context.progress)
    columns = 3 * (context.sh_degree + 1) ** 2
    rate = found.of_gaussians[name].new_full((columns,), rate_of(config.rates, "sh_rest", context.progress))
    rate[:3] = rate_of(config.rates, "sh_base", context.progress)
    return batch * rate * RATE[config.colour]
