"""A colour gain and offset for each photograph, for varying exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sfumato.ops import adam_step
from sfumato.ops.backend import HOST
from sfumato.training.config import Rates
from sfumato.training.part import Gradients, Part, Shot
from sfumato.training.schedules import rate_of

if TYPE_CHECKING:
    from sfumato.training.state import TrainState


class Exposure(Part):
    """Learned colour of each photograph: gain * render + offset, per channel.

    Held-out views are rendered without it, so gains and offsets are kept at one and zero on average.

    Args:
        num_views: number of photographs.
        rates: learning rates.
        device: of the scene.
    """

    name = "exposure"

    def __init__(self, num_views: int, rates: Rates, device: torch.device = HOST) -> None:
        self._values = torch.zeros(num_views, 6, device=device, requires_grad=True)
        self._moments = torch.zeros(2, num_views, 6, device=device)
        self._step = 0
        self.rates = rates

    def of_view(self, number: int) -> tuple[Tensor, Tensor]:
        """Gain and offset, [3] each, of a training view, without gradients."""
        log_gain, offset = self._values.detach()[number].split(3)
        return log_gain.exp(), offset

    def apply(self, image: Tensor, shot: Shot) -> Tensor:
        log_gain, offset = self._values[shot.number].split(3)
        return image * log_gain.exp() + offset

    def parameters(self) -> dict[str, Tensor]:
        return {"values": self._values}

    @torch.no_grad()
    def step(self, state: TrainState, gradients: Gradients) -> None:
        self._step += 1
        seen = torch.zeros(len(self._values), dtype=torch.bool, device=self._values.device)
        seen[list(gradients.views)] = True
        adam_step(
            self._values.data,
            gradients.of_parts[self.name]["values"],
            self._moments[0],
            self._moments[1],
            seen,
            rate=rate_of(self.rates, "exposure", gradients.context.progress),
            step=self._step,
        )
        self._values -= self._values.mean(dim=0)

    def state_dict(self) -> dict[str, Any]:
        return {"values": self._values.detach(), "moments": self._moments, "step": self._step}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self._values = saved["values"].clone().requires_grad_()
        self._moments, self._step = saved["moments"].clone(), saved["step"]
