"""What moves in the photographs of cameras that stand still: given masks, and differences from the median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from sfumato.capture.multiview import MultiViewVideo

# Steps that the temporal median and its deviation are taken over, at most.
_MOST_STEPS = 16
# A pixel moves where a channel differs from the median by this many standard deviations, estimated from the
# median absolute deviation, and by this share of white. Given masks miss feet and thin things; beside them,
# only what shadows do not explain counts: the larger share.
_DEVIATIONS, _LEAST_DIFFERENCE, _BESIDE_MASKS = 3.0, 0.06, 0.2
_MAD_TO_SIGMA = 1.4826
# Moving areas grow by this many pixels: they begin where a difference is only half as large.
_GROWN_PX = 2
# Steps before and after, in which a pixel may change, and by how much, as a share of white.
_AROUND, _LEAST_CHANGE = 4, 0.15


@dataclass(frozen=True)
class TemporalMedian:
    """Of the photographs of one camera, in [0, 1].

    Attributes:
        median: [h, w, 3].
        deviation: [h, w, 3] standard deviation, from the median absolute deviation.
    """

    median: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, video: MultiViewVideo, camera: int) -> TemporalMedian:
        """That of a camera, by its index in ``video.cameras``."""
        views = [view for view in video.cameras[camera].views if view is not None]
        chosen = views[:: -(-len(views) // _MOST_STEPS)]
        stack = np.stack([view.load().rgb for view in chosen]).astype(np.float32) / 255
        median = np.median(stack, axis=0)
        return cls(median, _MAD_TO_SIGMA * np.median(np.abs(stack - median), axis=0))

    def moving(self, rgb: np.ndarray, least: float = _LEAST_DIFFERENCE) -> np.ndarray:
        """[h, w] bool: where a photograph shows something else than most of them.

        Args:
            rgb: uint8 [h, w, 3], the photograph.
            least: the least difference of a channel, as a share of white.
        """
        difference = np.abs(rgb.astype(np.float32) / 255 - self.median)
        limit = np.maximum(_DEVIATIONS * self.deviation, least)
        return _as_areas((difference > limit).any(axis=2))


def _as_areas(moves: np.ndarray) -> np.ndarray:
    """Single pixels left out, holes filled, and areas grown."""
    opened = ndimage.binary_opening(moves, np.ones((2, 2)))
    return ndimage.binary_dilation(ndimage.binary_fill_holes(opened), np.ones((3, 3)), iterations=_GROWN_PX)


class Foreground:
    """What moves in the photographs of a video: its masks, and what differs from the median over time.

    Args:
        video: whose cameras stand still.
    """

    def __init__(self, video: MultiViewVideo) -> None:
        self._video = video
        self._medians: dict[int, TemporalMedian] = {}

    def changing(self, camera: int, step: int) -> Tensor | None:
        """Where something moves or turns about a step, also what covers its place at all times.

        Args:
            camera: its index in ``video.cameras``.
            step: from 0.

        Returns:
            [h, w] bool: what ``of`` gives, and where a channel changes within a few steps; None where the
            camera has no photograph.
        """
        views, found = self._video.cameras[camera].views, self.of(camera, step)
        if views[step] is None or found is None:
            return None
        near = [view for view in views[max(step - _AROUND, 0) : step + _AROUND + 1] if view is not None]
        stack = np.stack([view.load().rgb for view in near])
        span = stack.max(axis=0) - stack.min(axis=0)
        return found | torch.from_numpy(_as_areas((span > 255 * _LEAST_CHANGE).any(axis=2)))

    def of(self, camera: int, step: int) -> Tensor | None:
        """[h, w] bool of a camera, by its index in ``video.cameras``; None where it has no photograph."""
        given, view = self._video.foreground(camera, step), self._video.cameras[camera].views[step]
        if view is None:
            return given
        if camera not in self._medians:
            self._medians[camera] = TemporalMedian.of(self._video, camera)
        median = self._medians[camera]
        if given is None:
            return torch.from_numpy(median.moving(view.load().rgb))
        return given | torch.from_numpy(median.moving(view.load().rgb, _BESIDE_MASKS))
