"""Moving areas in photographs of static cameras: given masks, and differences from the temporal median."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from sfumato.capture.multiview import MultiViewVideo, RigCamera
from sfumato.scene.cameras import Camera

# Largest number of steps over which the temporal median and its deviation are computed.
_MOST_STEPS = 16
# A pixel moves if a channel differs from the median by this many standard deviations, estimated from the
# median absolute deviation, and by this share of white. Given masks miss feet and thin objects, so
# differences count outside them too, but with the larger share, which shadows do not reach.
_DEVIATIONS, _LEAST_DIFFERENCE, _BESIDE_MASKS = 3.0, 0.06, 0.2
_MAD_TO_SIGMA = 1.4826
# Moving areas are dilated by this many pixels, as differences are smaller at their borders.
_GROWN_PX = 2
# With fewer cameras than this a part missed by one camera, such as a chest that covers the same pixels most
# of the time, is not outvoted: gaps up to this share of the short side are closed, and enclosed areas filled.
FEW_CAMERAS, _CLOSED = 6, 0.02
# Steps before and after in which changes of a pixel count, and the least change, as a share of white.
_AROUND, _LEAST_CHANGE = 8, 0.1
# Least change since the first step, as a share of white: most shadows are below. If more than this share of
# the pixels has changed, the light has.
_LATER_CHANGE, _OTHER_LIGHT = 0.15, 0.5


@dataclass(frozen=True)
class TemporalMedian:
    """Temporal median and deviation of the photographs of one camera.

    Attributes:
        median: uint8 [h, w, 3].
        deviation: uint8 [h, w, 3], rounded up: standard deviation, from the median absolute deviation.
    """

    median: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, camera: RigCamera) -> TemporalMedian:
        """The median and deviation of a camera, over evenly spaced steps."""
        views = [view for view in camera.views if view is not None]
        stack = np.stack([view.load().rgb for view in views[:: -(-len(views) // _MOST_STEPS)]])
        median = np.median(stack, axis=0).astype(np.uint8)
        spread = np.median(_difference(stack, median), axis=0)
        return cls(median, np.ceil(_MAD_TO_SIGMA * spread).clip(0, 255).astype(np.uint8))

    def moving(self, rgb: np.ndarray, least: float) -> np.ndarray:
        """[h, w] bool: areas where a photograph differs from the median.

        Args:
            rgb: uint8 [h, w, 3], the photograph.
            least: least difference of a channel, as a share of white.
        """
        limit = np.maximum(_DEVIATIONS * self.deviation, 255 * least)
        return _as_areas(np.any(_difference(rgb, self.median) > limit, axis=2))


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Absolute differences of uint8 arrays, as uint8."""
    return np.maximum(first, second) - np.minimum(first, second)


def _as_areas(moves: np.ndarray) -> np.ndarray:
    """The mask with isolated pixels removed, holes filled, and areas dilated."""
    opened = ndimage.binary_opening(moves, np.ones((2, 2)))
    return ndimage.binary_dilation(ndimage.binary_fill_holes(opened), np.ones((3, 3)), iterations=_GROWN_PX)


def _without_gaps(moves: np.ndarray) -> np.ndarray:
    """The mask with narrow gaps closed and enclosed areas filled."""
    radius = max(1, round(_CLOSED * min(moves.shape)))
    # The image border is not the edge of an object: gaps at it are closed as well.
    padded = np.pad(moves, 2 * radius, mode="edge")
    closed = ndimage.binary_closing(padded, np.ones((3, 3)), iterations=radius)
    return ndimage.binary_fill_holes(closed)[2 * radius : -2 * radius, 2 * radius : -2 * radius]


class Foreground:
    """Moving areas of the training photographs: given masks, and differences from the temporal median.

    Args:
        video: with static cameras.
    """

    def __init__(self, video: MultiViewVideo) -> None:
        self._video, self._cameras = video, video.train_cameras
        self._indices = [index for index, camera in enumerate(video.cameras) if not camera.is_test]
        self._medians: dict[int, TemporalMedian] = {}

    def of(self, number: int, step: int) -> Tensor | None:
        """Where something moves in a photograph.

        Args:
            number: of the training camera.
            step: from 0.

        Returns:
            [h, w] bool; None where there is neither a photograph nor a mask.
        """
        given, view = self._video.foreground(self._indices[number], step), self._cameras[number].views[step]
        if view is None:
            return given
        least = _LEAST_DIFFERENCE if given is None else _BESIDE_MASKS
        found = torch.from_numpy(self._median(number).moving(view.load().rgb, least))
        return found if given is None else given | found

    def at(self, step: int) -> list[tuple[Camera, Tensor | None]]:
        """Each training camera, and where something moves in its photograph of a step, as ``of``."""
        return [(camera.camera, self.of(number, step)) for number, camera in enumerate(self._cameras)]

    def changing_at(self, step: int) -> Iterator[tuple[Camera, Tensor | None]]:
        """Areas that move around a step, including objects that change within the same pixels.

        Args:
            step: from 0.

        Returns:
            Each training camera, and [h, w] bool: the union of ``of`` and of pixels where a channel changes
            within a few steps; None if it has no photograph.
        """
        for number, camera in enumerate(self._cameras):
            found = self.of(number, step)
            if camera.views[step] is None or found is None:
                yield camera.camera, None
                continue
            around = camera.views[max(step - _AROUND, 0) : step + _AROUND + 1]
            stack = np.stack([view.load().rgb for view in around if view is not None])
            span = stack.max(axis=0) - stack.min(axis=0)
            changes = _as_areas((span > 255 * _LEAST_CHANGE).any(axis=2))
            moves = found.numpy() | changes
            if len(self._cameras) < FEW_CAMERAS:
                moves = _without_gaps(moves)
            yield camera.camera, torch.from_numpy(moves)

    def changed_by(self, share: float) -> Iterator[tuple[Camera, Tensor | None]]:
        """Areas of the first step that look different later: what has left, or come, or covers them.

        Args:
            share: of the steps that have passed by then, at most 1.

        Returns:
            Each training camera, and [h, w] bool; None if a photograph is missing or the light has changed.
        """
        for camera in self._cameras:
            first, later = camera.views[0], camera.views[round(share * (len(camera.views) - 1))]
            areas = None
            if first is not None and later is not None:
                differs = _difference(later.load().rgb, first.load().rgb) > 255 * _LATER_CHANGE
                areas = _as_areas(np.any(differs, axis=2))
                if areas.mean() > _OTHER_LIGHT:
                    areas = None
            yield camera.camera, None if areas is None else torch.from_numpy(areas)

    def background(self, number: int) -> np.ndarray:
        """uint8 [h, w, 3]: the temporal median of a training camera."""
        return self._median(number).median

    def _median(self, number: int) -> TemporalMedian:
        if number not in self._medians:
            self._medians[number] = TemporalMedian.of(self._cameras[number])
        return self._medians[number]
