"""The order in which training views are sampled."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class ViewSampler:
    """Shuffled epochs: every view once per epoch, or in proportion to its weight.

    With weights an epoch has as many draws as there are views; each view gets its expected number of draws,
    rounded up or down at random (systematic sampling).

    Args:
        num_views: number of views.
        generator: random numbers of the shuffles.
        weights: of the views, positive; None: all the same.
    """

    def __init__(
        self, num_views: int, generator: torch.Generator, weights: Sequence[float] | None = None
    ) -> None:
        self._num_views = num_views
        self._weights = None if weights is None or len(set(weights)) == 1 else weights
        self._generator = generator
        self._queue: list[int] = []

    def upcoming(self, count: int) -> list[int]:
        """The next views, without taking them; may be fewer than ``count`` at the end of an epoch."""
        self._fill()
        return self._queue[:count]

    def next(self) -> int:
        """Index of the view to train on now."""
        self._fill()
        return self._queue.pop(0)

    def _fill(self) -> None:
        if not self._queue:
            order = torch.randperm(self._num_views, generator=self._generator)
            self._queue = (order if self._weights is None else self._drawn()[order]).tolist()

    def _drawn(self) -> torch.Tensor:
        """[n] views of an epoch, sorted."""
        reached = torch.tensor(self._weights, dtype=torch.float64).cumsum(0)
        first = torch.rand((), generator=self._generator, dtype=torch.float64)
        at = (first + torch.arange(self._num_views)) / self._num_views
        return torch.searchsorted(reached / reached[-1], at).clamp_max(self._num_views - 1)

    def state_dict(self) -> dict:
        return {"queue": list(self._queue)}

    def load_state_dict(self, saved: dict) -> None:
        self._queue = list(saved["queue"])
