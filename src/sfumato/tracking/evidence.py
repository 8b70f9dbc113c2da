"""Differences between photographs of a step and renders: missing and absent objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from sfumato.ops.in_threads import in_threads
from sfumato.render.rasterize import rasterize
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.photograph_parts import PhotographPart, Photographs
from sfumato.tracking.track_state import MovingPoses, TrackState, concatenated

# Least difference of a channel between photograph and render, as a share of white; more than by shadows.
_DIFFERENCE = 0.2
# Least alpha of moving Gaussians for a pixel to count as covered by them.
_COVERED = 0.5
# Photographs are compared at half resolution.
_DOWNSCALE = 2


@dataclass(frozen=True)
class Evidence:
    """Evidence from one photograph.

    Attributes:
        camera: of the photograph.
        missing: [h, w] int8: 1 where something moves that no Gaussian represents, 0 where not, -1 where
            moving Gaussians hide what lies behind them.
        absent: [h, w] int8: 1 where nothing moves and the photograph differs from the render, and less
            from one without moving Gaussians; 0 where something moves, or where it differs from both; -1
            where nothing moves and it agrees with the render.
        absent_as_expected: [h, w] int8: the same for Gaussians at their expected poses.
        still_absent: [h, w] int8: 1 where nothing moves and the photograph differs from the render, 0 where
            something moves, -1 where nothing moves and both agree.
    """

    camera: Camera
    missing: Tensor
    absent: Tensor
    absent_as_expected: Tensor
    still_absent: Tensor


@torch.no_grad()
def evidence(
    state: TrackState, photographs: Photographs, found: MovingPoses, expected: MovingPoses
) -> list[Evidence]:
    """Compare the photographs of a step with renders in the moving regions.

    Args:
        state: before the step.
        photographs: of the step.
        found: poses after the step.
        expected: poses predicted for it.
    """
    moving, other = state.moved(found), state.moved(expected)
    found_by = in_threads(
        lambda index: _evidence(state, photographs, index, moving, other), range(len(photographs))
    )
    return [seen for seen in found_by if seen]


def _evidence(
    state: TrackState, photographs: Photographs, index: int, moving: Gaussians, other: Gaussians
) -> Evidence | None:
    """That from one photograph, with the moving Gaussians at their found and at their expected poses."""
    moves = photographs.moving(index)
    if moves is None:
        return None
    camera = state.cameras[photographs.numbers[index]].camera
    size_px = camera.height, camera.width
    missing = torch.zeros(size_px, dtype=torch.int8)
    absent, as_expected, still_absent = (torch.full(size_px, -1, dtype=torch.int8) for _ in range(3))
    for region, part in zip(photographs.regions(index), photographs.parts(index, _DOWNSCALE), strict=True):
        at, here = region.slices, moves[region.slices]
        without = _difference(state, part, part.still)
        differs, stands = _compared(state, part, moving, without, here)
        missing[at] = (differs & here).to(torch.int8)
        covered = rasterize(moving, part.camera, state.settings).alpha > _COVERED
        missing[at][_enlarged(covered, here)] = -1
        absent[at] = torch.where(here | stands, 0, torch.where(differs, 1, -1))
        still_absent[at] = torch.where(here, 0, torch.where(differs, 1, -1))
        differs, stands = _compared(state, part, other, without, here)
        as_expected[at] = torch.where(here | stands, 0, torch.where(differs, 1, -1))
    return Evidence(camera, missing, absent, as_expected, still_absent)


def _compared(
    state: TrackState, part: PhotographPart, moving: Gaussians, without: Tensor, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Where a part of a photograph differs from its render, and where also from the static scene behind.

    Args:
        state: before the step.
        part: of a photograph, reduced.
        moving: Gaussians.
        without: [h, w] difference from a render without them.
        like: [h', w'] of the size of the results.

    Returns:
        [h', w'] bool, twice.
    """
    error = _difference(state, part, concatenated(part.still, moving))
    differs = _lasting(error > _DIFFERENCE)
    if part.target.weight is not None:
        differs &= part.target.weight > 0
    return _enlarged(differs, like), _enlarged(differs & (without >= error), like)


def _difference(state: TrackState, part: PhotographPart, scene: Gaussians) -> Tensor:
    """[h, w] largest difference of a channel between a part of a photograph and its render."""
    image = rasterize(scene, part.camera, state.settings).image
    return (state.exposed(image, part.number) - part.target.image).abs().amax(dim=2)


def _lasting(mask: Tensor) -> Tensor:
    """Remove structures thinner than two pixels, such as slightly misplaced edges, from a mask.

    Gaps, in which colours agree by chance, are closed.
    """
    opened = ndimage.binary_opening(mask.numpy(), np.ones((2, 2)))
    return torch.from_numpy(ndimage.binary_closing(opened, np.ones((3, 3)), iterations=2))


def _enlarged(mask: Tensor, like: Tensor) -> Tensor:
    """[h, w] bool resized to the size of another mask with nearest-neighbour interpolation."""
    return torch.nn.functional.interpolate(mask[None, None].float(), size=like.shape)[0, 0] > 0
