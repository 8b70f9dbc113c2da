"""The order in which training views are sampled."""

from __future__ import annotations

import torch


class ViewSampler:
    """Shuffled epochs: every view once per epoch.

    Args:
        num_views: number of views.
        generator: random numbers of the shuffles.
    """

    def __init__(self, num_views: int, generator: torch.Generator):
        self._num_views = num_views
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
            self._queue = torch.randperm(self._num_views, generator=self._generator).tolist()

    def state_dict(self) -> dict:
        return {"queue": list(self._queue)}

    def load_state_dict(self, saved: dict) -> None:
        self._queue = list(saved["queue"])
