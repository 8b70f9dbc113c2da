"""What comments in the header of a PLY file say of a scene.

``SplatRenderMode: mip`` (Brush, splat-transform) and ``antialiased 1`` (Postshot) mark scenes for
anti-aliased rendering, the last of them counts; ``Vertical axis: z`` (Nerfstudio) or of three numbers (Brush)
is the way up. Of a bare y nobody says whether it points up or down: it is passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from sfumato.scene.scene import Metadata

_AXES = {"x": (1.0, 0.0, 0.0), "-y": (0.0, -1.0, 0.0), "+y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
_MODE = re.compile(r"splatrendermode:\s*(\w+)", re.IGNORECASE)
_ANTIALIASED = re.compile(r"antialiased\s*:?\s*([01])", re.IGNORECASE)
_UP = re.compile(r"vertical axis:\s*(\S+(?:\s+\S+)*)", re.IGNORECASE)
_TIME = re.compile(r"time:\s*(\S+)", re.IGNORECASE)
_UNIT = re.compile(r"metres per unit:\s*(\S+)", re.IGNORECASE)


def read_comments(comments: Sequence[str], *, antialiased: bool = False) -> Metadata:
    """What a header's comments say; those of other kinds are passed over.

    Args:
        comments: their texts.
        antialiased: what holds where none of them says.
    """
    up = unit = time = None
    for text in comments:
        if found := _MODE.fullmatch(text):
            antialiased = found[1].lower() == "mip"
        elif found := _ANTIALIASED.fullmatch(text):
            antialiased = found[1] == "1"
        elif found := _UP.fullmatch(text):
            up = _direction(found[1])
        elif found := _UNIT.fullmatch(text):
            (unit,) = _numbers([found[1]]) or (None,)
            unit = unit if unit and unit > 0 else None
        elif found := _TIME.fullmatch(text):
            (time,) = _numbers([found[1]]) or (None,)
    return Metadata(antialiased, up, unit, time)


def comments_of(metadata: Metadata) -> list[str]:
    """The lines of a header that say the same."""
    lines = ["comment SplatRenderMode: mip"] if metadata.antialiased else []
    if metadata.up is not None:
        lines.append("comment Vertical axis: " + " ".join(f"{value:.9g}" for value in metadata.up))
    if metadata.metres_per_unit is not None:
        lines.append(f"comment Metres per unit: {metadata.metres_per_unit:.9g}")
    if metadata.time is not None:
        lines.append(f"comment Time: {metadata.time:.17g}")
    return lines


def _direction(text: str) -> tuple[float, float, float] | None:
    """A unit vector, or None where the text is none."""
    if text.lower() in _AXES:
        return _AXES[text.lower()]
    numbers = _numbers(text.split())
    length = math.hypot(*numbers) if len(numbers) == 3 else 0.0
    if not 1e-6 < length < 1e6:
        return None
    x, y, z = (value / length for value in numbers)
    return x, y, z


def _numbers(words: Sequence[str]) -> list[float]:
    """The numbers that words are, or nothing if one of them is none."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
