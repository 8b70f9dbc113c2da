"""Progress callbacks of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is; 0 for the second where that is unknown."""


def silent(done: int, total: int) -> None:
    """Ignore progress."""
