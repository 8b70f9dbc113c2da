"""The photographs of one step, cropped to the moving regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from sfumato import ops
from sfumato.ops.in_threads import in_threads
from sfumato.render.rasterize import rasterize
from sfumato.render.visibility import footprints
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.regions import Region, footprint_mask, moving_regions
from sfumato.tracking.track_state import MovingPoses, TrackState, concatenated
from sfumato.training.target import Target, make_target


@dataclass(frozen=True)
class PhotographPart:
    """A cropped region of a photograph in which something moves.

    Attributes:
        number: of the training camera.
        camera: of the part.
        target: of its render.
        still: static Gaussians that may touch the part.
        share: of the pixels of all parts of the camera.
    """

    number: int
    camera: Camera
    target: Target
    still: Gaussians
    share: float


class Photographs:
    """The photographs of one step from all training cameras that have one.

    Args:
        state: of the run.
        step: index of the time step.
        poses: predicted for the moving Gaussians.
    """

    def __init__(self, state: TrackState, step: int, poses: MovingPoses) -> None:
        self._state, self.step = state, step
        # Indices of the training cameras that have a photograph.
        self.numbers = [n for n, camera in enumerate(state.cameras) if camera.views[step] is not None]
        moving = state.moved(poses)
        self._moves = in_threads(lambda number: state.foreground.of(number, step), self.numbers)
        self._regions = in_threads(lambda index: self._moving_regions(index, moving), range(len(self)))
        self._kept: dict[tuple[int, int], tuple[PhotographPart, ...]] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def regions(self, index: int) -> tuple[Region, ...]:
        """The bounding boxes of the parts of a photograph, in the order of ``parts``."""
        return self._regions[index]

    def moving(self, index: int) -> Tensor | None:
        """[h, w] bool: where something moves in a photograph; None: unknown."""
        return self._moves[index]

    def parts(self, index: int, downscale: int) -> tuple[PhotographPart, ...]:
        """The parts of a photograph in which something moves.

        Args:
            index: of the photograph, from 0.
            downscale: the photograph is reduced this many times.
        """
        key = index, downscale
        if key not in self._kept:
            self._kept[key] = tuple(self._make(index, self._regions[index], downscale))
        return self._kept[key]

    def parts_with(self, index: int, gaussians: Gaussians) -> tuple[PhotographPart, ...]:
        """The parts of a photograph that show some Gaussians, with a margin.

        Args:
            index: of the photograph, from 0.
            gaussians: not necessarily of the state.
        """
        camera = self._state.cameras[self.numbers[index]].camera
        shown = footprint_mask(footprints(gaussians, camera, self._state.settings), camera.size_px)
        return tuple(self._make(index, moving_regions(shown), 1))

    def _make(self, index: int, regions: Sequence[Region], downscale: int) -> Iterator[PhotographPart]:
        state, number = self._state, self.numbers[index]
        view = state.cameras[number].views[self.step]
        assert view is not None
        pixels = view.load()
        area = sum(region.width * region.height for region in regions)
        for region in regions:
            size_px = (max(region.width // downscale, 1), max(region.height // downscale, 1))
            yield PhotographPart(
                number,
                region.of(view.camera).resized(*size_px),
                make_target(pixels.part(*region.slices), size_px, state.settings.background),
                state.still_gaussians.select(region.touched(state.still_footprints[number])),
                region.width * region.height / area,
            )

    def _moving_regions(self, index: int, moving: Gaussians) -> tuple[Region, ...]:
        """Regions of the predicted moving Gaussians and of the moving areas of the photograph."""
        state = self._state
        camera = state.cameras[self.numbers[index]].camera
        mask = footprint_mask(footprints(moving, camera, state.settings), camera.size_px)
        given = self._moves[index]
        if given is not None:
            mask = mask | given.numpy()
        return moving_regions(mask)


def part_losses(state: TrackState, parts: Iterable[PhotographPart], moving: Gaussians) -> Iterator[Tensor]:
    """Losses of the parts of a photograph, which add up to the loss of the photograph.

    Args:
        state: of the run.
        parts: of one photograph.
        moving: Gaussians rendered together with the static ones.

    Gradients: ``moving``.
    """
    for part in parts:
        scene = concatenated(part.still, moving)
        image = state.exposed(rasterize(scene, part.camera, state.settings).image, part.number)
        target = part.target
        loss = ops.photometric_loss(image, target.image, target.weight, ssim_weight=state.config.ssim_weight)
        yield part.share * loss
