"""Evenly spaced subsets of a sequence."""

from __future__ import annotations


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of 0 to ``count`` - 1, as evenly spaced as integers allow."""
    return list(range(count)) if count <= most else [(2 * i + 1) * count // (2 * most) for i in range(most)]


def coarse_to_fine(count: int) -> list[int]:
    """0 to ``count`` - 1 in an order in which every prefix is evenly spaced."""
    digits = max(count - 1, 1).bit_length()
    return sorted(range(count), key=lambda i: int(f"{i:0{digits}b}"[::-1], 2))
