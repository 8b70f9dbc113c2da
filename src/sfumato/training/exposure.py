"""A colour gain and offset for each photograph, for cameras that changed their exposure."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.ops import adam_step


class Exposure:
    """Learned colour of each photograph: gain * render + offset, per channel.

    Held-out views are rendered without it, so gains and offsets are kept at one and zero on average.

    Args:
        num_views: number of photographs.
    """

    def __init__(self, num_views: int):
        self._values = torch.zeros(num_views, 6, requires_grad=True)
        self._moments = torch.zeros(2, num_views, 6)
        self._step = 0

    def apply(self, image: Tensor, view: int) -> Tensor:
        """[h, w, 3] the render with the exposure of photograph ``view``."""
        log_gain, offset = self._values[view].split(3)
        return image * log_gain.exp() + offset

    def step(self, view: int, rate: float) -> None:
        """One Adam step on the photograph just compared."""
        self._step += 1
        seen = torch.zeros(len(self._values), dtype=torch.bool)
        seen[view] = True
        grad, self._values.grad = self._values.grad, None
        with torch.no_grad():
            adam_step(
                self._values.data, grad, self._moments[0], self._moments[1], seen, rate=rate, step=self._step
            )
            self._values -= self._values.mean(dim=0)

    def state_dict(self) -> dict:
        return {"values": self._values.detach(), "moments": self._moments, "step": self._step}

    def load_state_dict(self, saved: dict) -> None:
        self._values = saved["values"].clone().requires_grad_()
        self._moments, self._step = saved["moments"].clone(), saved["step"]
