"""Independent pieces of work in several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def kernel_threads(count: int) -> Iterator[None]:
    """Limit kernels to some threads."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(count, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results of a function for some items, in their order.

    There is a thread for each core that kernels may use, and the kernels in each thread use one core. This is
    faster than kernels on all cores where much of the work is between them. Gradients are recorded, or not,
    as in the caller.

    Args:
        function: its calls must not depend on each other.
        items: its arguments.
    """
    import numba

    cores = numba.get_num_threads()
    if cores == 1:
        return [function(item) for item in items]
    records_gradients = torch.is_grad_enabled()

    def prepare() -> None:
        numba.set_num_threads(1)
        torch.set_grad_enabled(records_gradients)

    with ThreadPoolExecutor(cores, initializer=prepare) as pool:
        return list(pool.map(function, items))
