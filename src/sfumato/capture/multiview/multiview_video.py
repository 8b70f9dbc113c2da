"""A multi-view video: static cameras, and their photographs at each time step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.cache import ByteCache
from sfumato.capture.dataset import Capture, View
from sfumato.capture.offset import Offset
from sfumato.capture.pixels import PixelPlan, Pixels, make_mask
from sfumato.capture.points import PointCloud
from sfumato.capture.random_points import random_points
from sfumato.errors import ConfigError
from sfumato.scene.cameras import Camera


@dataclass(frozen=True)
class RigCamera:
    """One static physical camera.

    Attributes:
        name: unique.
        camera: an undistorted pinhole of the downscaled pictures; camera_from_world is float64.
        views: one for each step; None where the camera has no picture.
        is_test: held out.
    """

    name: str
    camera: Camera
    views: tuple[View | None, ...]
    is_test: bool


@dataclass(frozen=True)
class PackedMask:
    """A mask in the cache, one bit per pixel."""

    bits: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def read(cls, plan: PixelPlan) -> PackedMask:
        """The mask of a plan, decoded.

        Raises:
            CaptureError: as ``make_mask``.
        """
        mask = make_mask(plan)
        height, width = mask.shape
        return cls(np.packbits(mask), (height, width))

    @property
    def num_bytes(self) -> int:
        """Memory of the bits."""
        return self.bits.nbytes

    def unpacked(self) -> Tensor:
        """[h, w] bool."""
        height, width = self.shape
        return torch.from_numpy(np.unpackbits(self.bits, count=height * width).astype(bool)).view(self.shape)


@dataclass(frozen=True)
class MultiViewVideo:
    """Synchronised videos of one scene by static cameras.

    Steps are numbered from 0.

    Attributes:
        path: as given to ``load_multiview``.
        times: of the steps, seconds, ascending.
        cameras: in the natural order of their names.
        points: of the first step, world frame; None where the dataset has none.
        offset: of the world frame here from the dataset's, see ``Capture``.
        split_rule: description of how the held-out cameras were chosen.
        seed: of the random initial points for a dataset without points.
    """

    path: Path
    times: tuple[float, ...]
    cameras: tuple[RigCamera, ...]
    points: PointCloud | None
    offset: Offset
    split_rule: str
    seed: int
    _foregrounds: tuple[tuple[PixelPlan | None, ...], ...] = field(repr=False, compare=False)
    _cache: ByteCache[Pixels] = field(repr=False, compare=False)
    _masks: ByteCache[PackedMask] = field(repr=False, compare=False)

    @property
    def train_cameras(self) -> tuple[RigCamera, ...]:
        """Cameras to train on."""
        return tuple(camera for camera in self.cameras if not camera.is_test)

    @property
    def test_cameras(self) -> tuple[RigCamera, ...]:
        """Cameras held out."""
        return tuple(camera for camera in self.cameras if camera.is_test)

    def foreground(self, camera: int, step: int) -> Tensor | None:
        """The foreground mask of a camera's picture, from the dataset.

        Args:
            camera: its index in ``cameras``.
            step: from 0.

        Returns:
            [h, w] bool at the size of the camera's views, True for moving objects; None if there is no
            mask.

        Raises:
            CaptureError: the mask cannot be decoded.
            ConfigError: there is no such step.
        """
        self._check_step(step)
        plan = self._foregrounds[camera][step]
        if plan is None:
            return None
        return self._masks.get((camera, step), partial(PackedMask.read, plan)).unpacked()

    def at(self, step: int) -> Capture:
        """The photographs of one step as a capture, in which the test cameras' views are held out.

        All steps share the cache of decoded pictures and the points, which are random if the dataset has
        none.

        Args:
            step: from 0.

        Raises:
            ConfigError: there is no such step.
        """
        self._check_step(step)
        views = self._views(step, self.cameras)
        test_names = frozenset(view.name for view in self._views(step, self.test_cameras))
        return Capture(
            self.path, views, self._start, self.points is None, test_names, self.split_rule, None,
            self._cache, self.offset,
        )  # fmt: skip

    @cached_property
    def _start(self) -> PointCloud:
        """The points of all captures."""
        if self.points is not None:
            return self.points
        first = next(
            views for step in range(len(self.times)) if (views := self._views(step, self.train_cameras))
        )
        return random_points(first, seed=self.seed)

    def _views(self, step: int, cameras: Iterable[RigCamera]) -> tuple[View, ...]:
        """The pictures that some cameras have at a step, sorted by name."""
        there = (camera.views[step] for camera in cameras)
        return tuple(sorted((view for view in there if view is not None), key=lambda view: view.name))

    def _check_step(self, step: int) -> None:
        if not 0 <= step < len(self.times):
            raise ConfigError(f"step is {step}; {self.path} has the steps 0 to {len(self.times) - 1}")
