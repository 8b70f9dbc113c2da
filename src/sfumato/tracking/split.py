"""Which Gaussians move: a vote of what moves in the photographs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sfumato.capture.multiview import RigCamera
from sfumato.render.settings import RasterSettings
from sfumato.render.visibility import footprints
from sfumato.scene.gaussians import Gaussians

# A Gaussian moves if this share of the cameras that have it in their picture see something moving there, and
# at least so many have it, or all of fewer cameras.
_SHARE, _LEAST_CAMERAS = 0.75, 6


def moving_rows(
    gaussians: Gaussians,
    cameras: tuple[RigCamera, ...],
    foreground: Callable[[int], Tensor | None],
    settings: RasterSettings,
) -> Tensor:
    """Rows of the Gaussians that move.

    Args:
        gaussians: n, of a step.
        cameras: that photographs were taken with.
        foreground: of a camera's number: [h, w] bool, where something moves; None where that is not known.
        settings: of the rasterizer.

    Returns:
        [m] int64, ascending.
    """
    seen = torch.zeros(len(gaussians), dtype=torch.int32)
    moves = torch.zeros(len(gaussians), dtype=torch.int32)
    asked = 0
    for number, camera in enumerate(cameras):
        mask = foreground(number)
        if mask is None:
            continue
        asked += 1
        found = footprints(gaussians, camera.camera, settings)
        width, height = camera.camera.size_px
        place = found.mean_px.floor().long()
        inside = (
            (found.radius_px[:, 0] > 0) & (place >= 0).all(1) & (place < torch.tensor([width, height])).all(1)
        )
        column, row = place.clamp_min(0).unbind(1)
        seen += inside
        moves += inside & mask[row.clamp_max(height - 1), column.clamp_max(width - 1)]
    enough = seen >= min(_LEAST_CAMERAS, max(asked, 1))
    return torch.nonzero(enough & (moves >= _SHARE * seen))[:, 0]
