"""Mapping beyond its deadline, while it has registered too few pictures to be useful."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pycolmap import Reconstruction as Model

# Least time of mapping, and of each further round, seconds.
LEAST_S = 5


def extended(
    mapped: Callable[[float, Model | None, int], list[Model]], until_s: float, fewest: float
) -> list[Model]:
    """Models, the largest first; mapping goes on beyond the deadline while the largest has too few pictures.

    A capture with a tenth of its pictures registered is useless, even if it is finished in time. Each further
    round takes as long as all previous ones; rounds end when enough pictures are registered, when no more can
    be, or when mapping is complete.

    Args:
        mapped: maps until a deadline, from a model or from nothing; its last argument numbers the rounds.
        until_s: the deadline, by the monotonic clock.
        fewest: number of registered pictures at which the deadline holds.
    """
    began_s = time.monotonic()
    models, number = mapped(until_s, None, 0), 0
    while (now_s := time.monotonic()) >= until_s:
        placed = models[0].num_reg_images() if models else 0
        if placed >= fewest:
            break
        until_s, number = now_s + max(now_s - began_s, LEAST_S), number + 1
        more = mapped(until_s, models[0] if models else None, number)
        if placed and (not more or more[0].num_reg_images() <= placed):
            break
        models = more
    return models
