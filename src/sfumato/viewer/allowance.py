"""A time budget, as a share of the elapsed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Allowance:
    """Seconds that may be spent: they come in with the time, and what costs more than is there makes a debt.

    What is spent in all is never more than the share of the time so far and the last expense.

    Args:
        share: of the time, between 0 and 1.
        most_s: what is saved up at most, for a moment in which much is wanted.
        clock_s: for tests.

    ``spent_s`` are the seconds that were spent so far.
    """

    def __init__(self, share: float, most_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._share, self._most_s, self._clock_s = share, most_s, clock_s
        self._left_s, self._at_s = 0.0, clock_s()
        self._lock = threading.Lock()
        self.spent_s = 0.0

    def is_there(self) -> bool:
        """Whether something may be spent now."""
        with self._lock:
            self._come_in()
            return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """Count what something took."""
        with self._lock:
            self._come_in()
            self._left_s -= seconds
            self.spent_s += seconds

    def _come_in(self) -> None:
        now = self._clock_s()
        self._left_s = min(self._left_s + self._share * (now - self._at_s), self._most_s)
        self._at_s = now
