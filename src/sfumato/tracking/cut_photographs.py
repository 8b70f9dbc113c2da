"""The photographs of one step, cut to where something moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.render.visibility import footprints
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.regions import Region, footprint_mask, moving_regions
from sfumato.training.target import make_target

if TYPE_CHECKING:
    from sfumato.tracking.time_step import MovingPoses
    from sfumato.tracking.track_state import TrackState


@dataclass(frozen=True)
class PhotographPart:
    """A part of a photograph in which something moves.

    Attributes:
        number: of the training camera.
        camera: of the part.
        image: [h, w, 3] of the photograph, in [0, 1].
        weight: [h, w] of its pixels; None: all count.
        still: Gaussians that stand still and may touch the part.
        share: its pixels, as a share of those of all parts of the camera.
    """

    number: int
    camera: Camera
    image: Tensor
    weight: Tensor | None
    still: Gaussians
    share: float


class Photographs:
    """The photographs of one step by all training cameras that have one.

    Args:
        state: of the run.
        step: in time.
        poses: that the moving Gaussians are expected at.
    """

    def __init__(self, state: TrackState, step: int, poses: MovingPoses) -> None:
        self._state, self._step = state, step
        self._numbers = [n for n, camera in enumerate(state.cameras) if camera.views[step] is not None]
        moving = Gaussians(**{**state.moving_gaussians.tensors(), "means": poses.means, "quats": poses.quats})
        self._regions = [self._moving_regions(number, moving) for number in self._numbers]
        self._kept: dict[tuple[int, int], tuple[PhotographPart, ...]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def parts(self, index: int, downscale: int) -> tuple[PhotographPart, ...]:
        """Where something moves in a photograph.

        Args:
            index: of the photograph, from 0.
            downscale: the photograph is reduced this many times.
        """
        key = index, downscale
        if key not in self._kept:
            self._kept[key] = tuple(self._make(index, downscale))
        return self._kept[key]

    def _make(self, index: int, downscale: int) -> list[PhotographPart]:
        number, regions = self._numbers[index], self._regions[index]
        view = self._state.cameras[number].views[self._step]
        assert view is not None
        width, height = view.camera.size_px
        target = make_target(view.load(), (width, height), self._state.settings.background)
        pixels = sum(region.width * region.height for region in regions)
        return [
            self._part(number, region, target.image, target.weight, downscale, pixels) for region in regions
        ]

    def _part(
        self, number: int, region: Region, image: Tensor, weight: Tensor | None, downscale: int, pixels: int
    ) -> PhotographPart:
        state = self._state
        camera = region.of(state.cameras[number].camera)
        size_px = (max(region.width // downscale, 1), max(region.height // downscale, 1))
        still = state.still_gaussians.select(region.touched(state.still_footprints[number]))
        return PhotographPart(
            number,
            camera.resized(*size_px),
            reduced(region.cut(image), size_px),
            None
            if weight is None
            else (reduced(region.cut(weight)[..., None], size_px)[..., 0] > 0.99).float(),
            still,
            region.width * region.height / pixels,
        )

    def _moving_regions(self, number: int, moving: Gaussians) -> tuple[Region, ...]:
        """Where the moving Gaussians are expected, and what the photograph says that moves."""
        state = self._state
        camera = state.cameras[number].camera
        mask = footprint_mask(footprints(moving, camera, state.settings), camera.size_px)
        given = state.foreground(number, self._step)
        if given is not None:
            mask = mask | given.numpy()
        return moving_regions(mask)


def reduced(image: Tensor, size_px: tuple[int, int]) -> Tensor:
    """[h, w, d] area average of an image, of size (width, height)."""
    if (image.shape[1], image.shape[0]) == size_px:
        return image.contiguous()
    planes = torch.nn.functional.interpolate(image.permute(2, 0, 1)[None], size=size_px[::-1], mode="area")
    return planes[0].permute(1, 2, 0).contiguous()
