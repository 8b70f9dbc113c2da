"""A byte-bounded cache that decodes each picture once, also under concurrent requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from sfumato import machine

_DEFAULT_SHARE = 8
_READ_AHEAD = 4


class Sized(Protocol):
    """A value with a known size in memory."""

    @property
    def num_bytes(self) -> int: ...


Value = TypeVar("Value", bound=Sized)


def default_cache_bytes() -> int:
    """An eighth of the memory this process may use (the machine's, or its control group's limit)."""
    return max(128 << 20, machine.memory().total_bytes // _DEFAULT_SHARE)


class ByteCache(Generic[Value]):
    """A cache that evicts the least recently used values when it would exceed ``max_bytes``.

    Args:
        max_bytes: bound of the cached values; a single larger value is returned but not cached.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._pending: dict[Hashable, Future] = {}
        self._queued: set[Hashable] = set()
        self._lock = threading.Lock()
        self._worker: ThreadPoolExecutor | None = None

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of ``key``, from ``make`` if it is not cached; errors of ``make`` are raised."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            pending = self._pending.get(key)
            if pending is None:
                mine = self._pending[key] = Future()
        if pending is not None:
            return pending.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            mine.set_exception(error)
            raise
        with self._lock:
            self._keep(key, value)
            del self._pending[key]
        mine.set_result(value)
        return value

    def read_ahead(self, wanted: Iterable[tuple[Hashable, Callable[[], Value]]]) -> None:
        """Make values in a background thread; at most a few at a time, further requests are dropped.

        Errors are not reported here: ``get`` raises them again.
        """
        for key, make in wanted:
            with self._lock:
                known = key in self._values or key in self._pending or key in self._queued
                if known or len(self._queued) >= _READ_AHEAD:
                    continue
                self._queued.add(key)
                if self._worker is None:
                    self._worker = ThreadPoolExecutor(1, thread_name_prefix="sfumato-read-ahead")
            self._worker.submit(self._read_ahead_one, key, make)

    def _read_ahead_one(self, key: Hashable, make: Callable[[], Value]) -> None:
        try:
            self.get(key, make)
        finally:
            with self._lock:
                self._queued.discard(key)

    def _keep(self, key: Hashable, value: Value) -> None:
        if value.num_bytes > self.max_bytes:
            return
        self._values[key] = value
        self.num_bytes += value.num_bytes
        while self.num_bytes > self.max_bytes:
            _, dropped = self._values.popitem(last=False)
            self.num_bytes -= dropped.num_bytes
