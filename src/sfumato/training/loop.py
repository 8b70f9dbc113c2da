"""The training loop, until the steps or the minutes are used up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sfumato.capture.dataset import Capture
from sfumato.maths.one_thread import one_torch_thread
from sfumato.training.state import TrainState
from sfumato.training.step import StepStats, train_step

# Number of upcoming photographs that are decoded in advance.
_AHEAD = 4

# Called after a step. It may return seconds that it waited, which do not count as training time.
Callback = Callable[[TrainState, StepStats], float | None]


def train(
    capture: Capture,
    state: TrainState,
    callbacks: Sequence[Callback] = (),
    *,
    step: Callable[[TrainState, Sequence[int]], StepStats] | None = None,
) -> TrainState:
    """Train until the steps or the minutes are used up.

    Args:
        capture: photographs with cameras.
        state: from ``start`` or a checkpoint, changed in place.
        callbacks: called after each step with the state and its report; they must not change it.
        step: takes a step on the given views; None: ``train_step``.

    Returns:
        The state.
    """
    before, began = state.seconds, time.perf_counter()
    with one_torch_thread():
        while state.progress < 1:
            views = [state.sampler.next() for _ in range(state.config.batch_size)]
            capture.read_ahead(state.views[i] for i in state.sampler.upcoming(_AHEAD))
            stats = (step or train_step)(state, views)
            state.seconds = before + time.perf_counter() - began
            for callback in callbacks:
                began += callback(state, stats) or 0.0
    return state
