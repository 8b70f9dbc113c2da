"""A byte-bounded LRU cache."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch

Value = TypeVar("Value")
MAX_BYTES = 256 << 20
"""Bound on what one ``LruCache`` holds."""


@contextmanager
def lasting() -> Iterator[None]:
    """Create tensors without gradients that autograd can use later, even when called in inference mode."""
    with torch.inference_mode(False), torch.no_grad():
        yield


class LruCache(Generic[Value]):
    """A cache that evicts the least recently used values to stay within ``MAX_BYTES``.

    Thread-safe. Values are shared: do not modify them, and create tensors under ``lasting``.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Value | None:
        """The value of a key, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def keep(self, key: Hashable, value: Value, num_bytes: int) -> None:
        """Store a value, unless it alone exceeds the bound."""
        with self._lock:
            if key in self._values or num_bytes > MAX_BYTES:
                return
            self._values[key] = value, num_bytes
            self._num_bytes += num_bytes
            while self._num_bytes > MAX_BYTES:
                _, (_, dropped) = self._values.popitem(last=False)
                self._num_bytes -= dropped
