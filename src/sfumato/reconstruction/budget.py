"""The time budget of a reconstruction: number and size of pictures, and training time."""

from __future__ import annotations

import math
import time

from sfumato import machine

# Cameras may take this share of the whole; training always gets at least the other.
CAMERAS_SHARE, LEAST_TRAINING_SHARE = 0.4, 0.15
# Pixels of a photograph for each minute of training on two cores: with more of them too few steps are left,
# with fewer detail is lost.
PIXELS_PER_MINUTE = 45_000
_LEAST_SIDE_PX = 200
# What is done once at the end, and as a share of the whole; the most that comparing held-out views may take.
_SECONDS_AT_END, _SHARE_AT_END, _MOST_COMPARING_SHARE = 4.0, 0.02, 0.2


class Budget:
    """The time for a whole reconstruction, from now on.

    Args:
        minutes: of the whole.
    """

    def __init__(self, minutes: float) -> None:
        self.whole_s = 60.0 * minutes
        self._began = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @property
    def left_minutes(self) -> float:
        """What is left; a share of the whole in any case, as the cameras may have taken all of it."""
        return max(self.whole_s - self.spent_s, LEAST_TRAINING_SHARE * self.whole_s) / 60.0

    @property
    def compared_until_s(self) -> float:
        """The moment of the monotonic clock when held-out views should have been compared."""
        return self._began + self.whole_s - self._at_end_s

    def training_minutes(self, comparing_s: float) -> float:
        """What is left to train for.

        Args:
            comparing_s: what comparing the held-out views takes after it.
        """
        after_s = self._at_end_s + min(comparing_s, _MOST_COMPARING_SHARE * self.whole_s)
        left_s = self.whole_s - self.spent_s - after_s
        return max(left_s, LEAST_TRAINING_SHARE * self.whole_s) / 60.0

    @property
    def _at_end_s(self) -> float:
        return _SECONDS_AT_END + _SHARE_AT_END * self.whole_s


def downscale_for(size_px: tuple[int, int], minutes: float) -> int:
    """How many times smaller photographs are worth being trained with.

    Args:
        size_px: (width, height) of the largest.
        minutes: of training.
    """
    wanted = PIXELS_PER_MINUTE * minutes * machine.cores() / 2.0
    factor = round(math.sqrt(math.prod(size_px) / wanted))
    return max(1, min(factor, min(size_px) // _LEAST_SIDE_PX))
