"""The mean of the scenes that a run ends among."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from sfumato.scene.gaussians import Gaussians

# Steps between two scenes that are counted: neighbours hardly differ.
_EVERY = 10


@dataclass
class Average:
    """Running mean of every parameter over the last steps of a run.

    Steps on single photographs leave each scene a little off towards the photographs just seen; their
    mean is not (stochastic weight averaging, Izmailov et al. 2018). Quaternions are averaged as they
    are stored, since they move little.

    Attributes:
        gaussians: the mean, or None before the first scene.
        count: scenes in it.
    """

    gaussians: Gaussians | None = None
    count: int = 0

    def forget(self) -> None:
        """Start anew, after the number of Gaussians may have changed."""
        self.gaussians, self.count = None, 0

    def add(self, gaussians: Gaussians, step: int) -> None:
        """Count the scene after ``step`` steps, one in ten; their number of Gaussians must not change."""
        if step % _EVERY:
            return
        self.count += 1
        if self.gaussians is None:
            self.gaussians = gaussians.map(lambda t: t.detach().clone())
            return
        with torch.no_grad():
            for f in fields(gaussians):
                getattr(self.gaussians, f.name).lerp_(getattr(gaussians, f.name), 1 / self.count)

    def state_dict(self) -> dict:
        mean = self.gaussians
        parts = None if mean is None else {f.name: getattr(mean, f.name) for f in fields(mean)}
        return {"gaussians": parts, "count": self.count}

    def load_state_dict(self, saved: dict) -> None:
        parts = saved["gaussians"]
        self.gaussians = None if parts is None else Gaussians(**{k: t.clone() for k, t in parts.items()})
        self.count = saved["count"]
