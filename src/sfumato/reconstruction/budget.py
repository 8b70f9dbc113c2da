"""The time budget of a reconstruction: what each stage may take."""

from __future__ import annotations

import time

# Largest fraction of the time for finding cameras, and least fraction for training.
CAMERAS_SHARE, LEAST_TRAINING_SHARE = 0.4, 0.15
# Time reserved for the end: seconds, plus a fraction of the whole; largest fraction for evaluating held-out
# views.
_SECONDS_AT_END, _SHARE_AT_END, _MOST_COMPARING_SHARE = 4.0, 0.02, 0.2


class Budget:
    """The time budget of a whole reconstruction, starting now.

    Args:
        minutes: for all stages.
    """

    def __init__(self, minutes: float) -> None:
        self.whole_s = 60.0 * minutes
        self._began = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def left_minutes(self) -> float:
        """Minutes left, at least the fraction for training, as finding cameras may have taken too long."""
        return max(self.whole_s - self.spent_s, LEAST_TRAINING_SHARE * self.whole_s) / 60.0

    @property
    def compared_until_s(self) -> float:
        """Deadline, by the monotonic clock, for evaluating held-out views."""
        return self._began + self.whole_s - self._at_end_s

    def training_minutes(self, evaluation_s: float) -> float:
        """Minutes left for training.

        Args:
            evaluation_s: estimated seconds for evaluating the held-out views afterwards.
        """
        after_s = self._at_end_s + min(evaluation_s, _MOST_COMPARING_SHARE * self.whole_s)
        left_s = self.whole_s - self.spent_s - after_s
        return max(left_s, LEAST_TRAINING_SHARE * self.whole_s) / 60.0

    @property
    def _at_end_s(self) -> float:
        return _SECONDS_AT_END + _SHARE_AT_END * self.whole_s
