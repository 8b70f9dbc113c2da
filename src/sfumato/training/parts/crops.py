"""Steps on parts of photographs at full resolution."""

from __future__ import annotations

from dataclasses import replace

import torch

from sfumato.training.crop import FRAME_PX, Crop
from sfumato.training.part import Part, Shot

# Narrower boxes have frames that are wider than they are.
_LEAST_SIDE_PX = FRAME_PX


class Crops(Part):
    """Looks at one box of a photograph in a step, as soon as photographs are not reduced any more.

    Args:
        per_side: boxes that a photograph would be cut into along each side, unless they were too narrow.
    """

    name = "crops"

    def __init__(self, per_side: int) -> None:
        self._per_side = per_side

    def prepare(self, shot: Shot) -> Shot:
        # A rolling shutter reads the lines of the whole picture one after the other.
        if shot.context.downscale > 1 or shot.camera.shutter is not None:
            return shot
        (left, width), (top, height) = (
            self._interval(side, shot.context.generator) for side in shot.camera.size_px
        )
        crop = Crop(left, top, width, height, shot.camera.size_px)
        return replace(shot, camera=crop.camera(shot.camera), crop=crop)

    def _interval(self, side: int, generator: torch.Generator) -> tuple[int, int]:
        """Where the box begins along a side, and how long it is.

        Boxes that lie anywhere would hold the border of a picture more seldom than its middle. Those of a
        grid hold everything equally often; each is moved by up to a quarter, so that borders are nowhere.
        """
        count = max(1, min(self._per_side, side // _LEAST_SIDE_PX))
        length = -(-side // count)
        cell = int(torch.randint(count, (), generator=generator))
        moved = float(torch.rand((), generator=generator)) - 0.5
        start = round(cell * (side - length) / max(count - 1, 1) + 0.5 * moved * length)
        return min(max(start, 0), side - length), length
