"""Independent pieces of work in several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results of a function for some items, in their order.

    There is a thread for each core that kernels may use, and the kernels in each thread use one core. This is
    faster than kernels on all cores where much of the work is between them. Grad mode is not passed on.

    Args:
        function: its calls must not depend on each other.
        items: its arguments.
    """
    import numba

    cores = numba.get_num_threads()
    if cores == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(cores, initializer=numba.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(function, items))
