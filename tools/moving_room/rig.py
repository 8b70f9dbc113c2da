"""The cameras: sixteen that stand still on a dome and look into the room; two of them are held out."""

from __future__ import annotations

import numpy as np
from cameras import look_at

from render import View

SIZE_PX = (256, 192)
FOCAL_PX = 205.0
TARGET = (0.0, 0.0, 0.35)
HELD_OUT = ("cam00", "cam15")


def _on_ring(azimuth_deg: float, radius: float, height: float) -> View:
    """A view from ``azimuth_deg`` (0 is +x, counter-clockwise from above) towards the middle of the room."""
    angle = np.radians(azimuth_deg)
    eye = (radius * np.cos(angle), radius * np.sin(angle), height)
    return View(look_at(eye, TARGET), FOCAL_PX, SIZE_PX)


def cameras() -> dict[str, View]:
    """All cameras by name, in order: eight low, five higher and one overhead; held out are two between."""
    views = [_on_ring(-45.0, 1.95, 1.35)]
    views += [_on_ring(22.5 + 45.0 * k, 2.05, 0.95) for k in range(8)]
    views += [_on_ring(10.0 + 72.0 * k, 1.75, 1.75) for k in range(5)]
    views += [_on_ring(200.0, 0.25, 2.35), _on_ring(135.0, 1.9, 1.3)]
    return {f"cam{number:02d}": view for number, view in enumerate(views)}
