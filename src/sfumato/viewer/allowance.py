"""A time budget, as a share of the elapsed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Allowance:
    """A budget in seconds that accrues as a share of the elapsed time; overspending makes it negative.

    Total spending never exceeds that share of the elapsed time by more than the last expense. ``spent_s`` is
    the total spent so far.

    Args:
        share: of the elapsed time, between 0 and 1.
        most_s: the largest budget that accumulates while it is not used, for bursts of demand.
        clock_s: clock, replaced in tests.
    """

    def __init__(self, share: float, most_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._share, self._most_s, self._clock_s = share, most_s, clock_s
        self._left_s, self._at_s = 0.0, clock_s()
        self._lock = threading.Lock()
        self.spent_s = 0.0

    def is_there(self) -> bool:
        """Whether the budget is positive."""
        with self._lock:
            self._accrue()
            return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """Subtract an expense from the budget."""
        with self._lock:
            self._accrue()
            self._left_s -= seconds
            self.spent_s += seconds

    def _accrue(self) -> None:
        now = self._clock_s()
        self._left_s = min(self._left_s + self._share * (now - self._at_s), self._most_s)
        self._at_s = now
