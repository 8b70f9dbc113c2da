"""Training on crops of photographs at full resolution."""

from __future__ import annotations

from dataclasses import replace

import torch

from sfumato.training.crop import MARGIN_PX, Crop
from sfumato.training.part import Part, Shot

# Narrower boxes would have margins wider than themselves.
_LEAST_SIDE_PX = MARGIN_PX


class Crops(Part):
    """Renders one box of a photograph per step, once photographs are no longer reduced.

    Args:
        per_side: number of boxes along each side of a photograph; fewer if they would be too narrow.
    """

    name = "crops"

    def __init__(self, per_side: int) -> None:
        self._per_side = per_side

    def prepare(self, shot: Shot) -> Shot:
        # The read-out times of a rolling shutter refer to the lines of the whole picture.
        if shot.context.downscale > 1 or shot.camera.shutter is not None:
            return shot
        (left, width), (top, height) = (
            self._interval(side, shot.context.generator) for side in shot.camera.size_px
        )
        crop = Crop(left, top, width, height, shot.camera.size_px)
        return replace(shot, camera=crop.camera(shot.camera), crop=crop)

    def _interval(self, side: int, generator: torch.Generator) -> tuple[int, int]:
        """Start and length of the box along a side.

        Uniformly random boxes would contain the border of a picture less often than its centre. Those of a
        grid contain all pixels equally often; each is shifted by up to a quarter of its length, so that their
        borders vary.
        """
        count = max(1, min(self._per_side, side // _LEAST_SIDE_PX))
        length = -(-side // count)
        cell = int(torch.randint(count, (), generator=generator))
        moved = float(torch.rand((), generator=generator)) - 0.5
        start = round(cell * (side - length) / max(count - 1, 1) + 0.5 * moved * length)
        return min(max(start, 0), side - length), length
