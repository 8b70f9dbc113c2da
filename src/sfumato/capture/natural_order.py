"""Natural sort order of file names, which usually is the order of capture."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """A sort key for natural order: frame2 before frame10.

    Numbers of any length compare by value; names that differ only in leading zeros have a fixed order.
    """
    parts = _NUMBER.split(name)
    digits = [part.lstrip("0") for part in parts[1::2]]
    # Without leading zeros a longer number is a larger one.
    parts[1::2] = [(len(number), number) for number in digits]
    return tuple(parts), name
