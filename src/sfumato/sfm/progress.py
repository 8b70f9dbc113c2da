"""Progress callbacks of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the amount done and the total; 0 for an unknown total."""


def silent(done: int, total: int) -> None:
    """Ignore progress."""
