"""A posed dataset ready for training: views, points, split and background.

Every view is an ideal pinhole, unless undistortion is switched off. Pictures are undistorted and downscaled
by area average in one pass when they are loaded, and kept as uint8 in a byte-bounded cache.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from sfumato.capture.cache import ByteCache, default_cache_bytes
from sfumato.capture.depth import median_depth
from sfumato.capture.offset import Offset, near_origin
from sfumato.capture.pixels import Pixels
from sfumato.capture.points import PointCloud
from sfumato.capture.random_points import random_points
from sfumato.capture.readers import PosedDataset, read_source
from sfumato.capture.view_plans import PlannedView, plan_views, reduced_size
from sfumato.checks import file_path
from sfumato.errors import CaptureError, ConfigError
from sfumato.scene.cameras import Camera

AlphaMeaning = Literal["auto", "transparency", "mask"]

# Long side of pictures for evaluation at native size, whatever the training size: about that of a screen.
NATIVE_SIDE_PX = 1600

_log = logging.getLogger("sfumato")


@dataclass(frozen=True)
class View:
    """A picture for training or evaluation, with its camera.

    Attributes:
        name: file name relative to the image folder (of a transforms file: to the dataset), with
            forward slashes; unique.
        camera: of the downscaled picture, a pinhole if undistorted; camera_from_world is float64.
        camera_group: equal for pictures of one physical camera.
        original_size_px: (width, height) before downscaling; None: as the camera's.
        files: of its pixels: the picture, and its mask if there is one.
        time: time of capture, in the dataset's own units; None if unknown.
    """

    name: str
    camera: Camera
    camera_group: int
    _make: Callable[[], Pixels] = field(repr=False, compare=False)
    _cache: ByteCache[Pixels] = field(repr=False, compare=False)
    original_size_px: tuple[int, int] | None = None
    files: tuple[Path, ...] = field(default=(), repr=False, compare=False)
    time: float | None = None
    _planned: PlannedView | None = field(default=None, repr=False, compare=False)

    def load(self) -> Pixels:
        """The picture, from the capture's cache or decoded now. Arrays are shared: do not write to them.

        Raises:
            CaptureError: the file cannot be decoded.
        """
        return self._cache.get(self.name, self._make)

    def at_side(self, side_px: int) -> View:
        """The same picture, decoded with a long side of ``side_px``, or at its own size if that is smaller.

        A view of another size is decoded at each load and not cached. One without a file is unchanged.
        """
        size_px = reduced_size(self.original_size_px or self.camera.size_px, side_px)
        if self._planned is None or size_px == self.camera.size_px:
            return self
        planned = self._planned.resized(size_px)
        return replace(self, camera=planned.camera, _make=planned.make, _cache=ByteCache(0), _planned=planned)


def reduction_of(views: Iterable[View]) -> float:
    """Linear reduction of the largest view relative to its native size, at least 1."""
    largest = max(views, key=lambda view: math.prod(view.camera.size_px))
    native_px = largest.at_side(NATIVE_SIDE_PX).camera.size_px
    return max(1.0, math.sqrt(math.prod(native_px) / math.prod(largest.camera.size_px)))


@dataclass(frozen=True)
class Capture:
    """A posed dataset.

    Attributes:
        path: as given to ``load_capture``.
        views: sorted by name.
        points: initial points, world frame.
        points_are_random: whether the dataset had none, and they were sampled from the volume that the
            cameras see.
        test_names: names of the held-out views.
        split_rule: description of how they were chosen.
        background: RGB in [0, 1] behind transparent pictures; None if none is transparent.
        offset: vector to add to positions here to get those in the dataset's frame; non-zero only where
            float32 is too coarse for the dataset's coordinates.
        view_weights: how often each training view is drawn in training, relative to the others; None: all the
            same.
    """

    path: Path
    views: tuple[View, ...]
    points: PointCloud
    points_are_random: bool
    test_names: frozenset[str]
    split_rule: str
    background: tuple[float, float, float] | None
    _cache: ByteCache[Pixels] = field(repr=False, compare=False)
    offset: Offset = (0.0, 0.0, 0.0)
    view_weights: tuple[float, ...] | None = None

    @property
    def train_views(self) -> tuple[View, ...]:
        """Views to train on, sorted by name."""
        return tuple(view for view in self.views if view.name not in self.test_names)

    @property
    def test_views(self) -> tuple[View, ...]:
        """Views held out, sorted by name."""
        return tuple(view for view in self.views if view.name in self.test_names)

    @property
    def render_background(self) -> tuple[float, float, float]:
        """RGB in [0, 1] behind renders that are compared with its pictures; black if there is none."""
        return self.background or (0.0, 0.0, 0.0)

    @property
    def original_size_px(self) -> tuple[int, int]:
        """(width, height) of the largest picture before downscaling."""
        sizes = (view.original_size_px or view.camera.size_px for view in self.views)
        return max(sizes, key=math.prod)

    @cached_property
    def depth(self) -> float:
        """Median distance of the scene from the training cameras, scene units."""
        poses = np.stack([view.camera.camera_from_world.numpy() for view in self.train_views])
        return median_depth(poses, self.points.xyz)

    @property
    def sequence(self) -> tuple[Capture, ...]:
        """One capture for each time of capture, in order; itself alone if no view has a time.

        All have the same points, and share decoded pictures.
        """
        times = sorted({view.time for view in self.views if view.time is not None})
        if not times:
            return (self,)
        moments = [tuple(view for view in self.views if view.time == time) for time in times]
        return tuple(
            replace(self, views=views, test_names=self.test_names & {view.name for view in views})
            for views in moments
        )

    def require_pixels(self) -> None:
        """Raise if there are no pixels to train on.

        Raises:
            CaptureError: masks or alpha exclude every pixel of every training view.
        """
        for view in self.train_views:
            mask = view.load().mask
            if mask is None or mask.any():
                return
        raise CaptureError(
            f"{self.path}: masks or alpha keep no pixel of any of the {len(self.train_views)} pictures to "
            "train on; they may be inverted: white, or opaque, is what is kept"
        )

    def read_ahead(self, views: Iterable[View]) -> None:
        """Start to decode the views that are visited next, in the background; never waits."""
        self._cache.read_ahead((view.name, view._make) for view in views)


def load_capture(
    path: str | Path,
    *,
    downscale: int = 1,
    test_every: int = 8,
    alpha: AlphaMeaning = "auto",
    background: tuple[float, float, float] | None = None,
    cache_bytes: int | None = None,
    seed: int = 0,
    undistort: bool = True,
) -> Capture:
    """Read a posed dataset: a COLMAP folder, or transforms of instant-ngp, nerfstudio or Blender.

    Headers of all pictures are read now, pixels when a view is loaded.

    Args:
        path: dataset folder, or a transforms file in it. A COLMAP model has precedence.
        downscale: factor by which pictures are downscaled, to floor(size / downscale).
        test_every: every Nth view, sorted by name, is held out, unless the dataset defines a split;
            0 holds none out.
        alpha: meaning of an alpha channel; "auto": transparency in Blender sets, a mask elsewhere.
        background: RGB in [0, 1] behind transparent pictures; white by default.
        cache_bytes: bound of the cache of decoded pictures; an eighth of the memory by default.
        seed: of random points, for a dataset without points.
        undistort: resample every picture to a pinhole camera, except panoramas. False keeps pictures
            distorted, downscaled, with the lens in their camera, and masks pixels outside the valid range of
            the lens model.

    Returns:
        The capture.

    Raises:
        CaptureError: a file is missing, broken or contradicts another.
        ConfigError: an option is out of range.
    """
    _check_options(downscale, test_every, alpha, background, cache_bytes)
    path = file_path("path", path)
    source = read_source(path)
    _check_frames(source, path)
    source, offset = near_origin(source, path)
    transparent = alpha == "transparency" or (alpha == "auto" and source.has_transparency)
    max_bytes = default_cache_bytes() if cache_bytes is None else cache_bytes

    def planned(undistort: bool) -> list[PlannedView]:
        return plan_views(
            source.frames, downscale=downscale, alpha_is_mask=not transparent, undistort=undistort
        )

    plans, cache = planned(undistort), ByteCache[Pixels](max_bytes)
    views = _views(plans, cache)
    panoramas = sum(view.camera.lens.is_panorama for view in views)
    if undistort and panoramas:
        _log.warning(
            "%s: %d of %d pictures are panoramas, which no pinhole can hold; they stay as they are and are "
            "drawn ray by ray, best with the renderer trace",
            path, panoramas, len(views),
        )  # fmt: skip
    test_names, rule = _split(source, [view.name for view in views], test_every, path)
    if background is None and transparent and any(plan.has_alpha for plan in plans):
        background = (1.0, 1.0, 1.0)
    points = source.points
    if points is None:
        # Random points are sampled in the view frusta of pinholes.
        pinholes = views if undistort else _views(planned(True), ByteCache(max_bytes))
        points = random_points([view for view in pinholes if view.name not in test_names], seed=seed)
    return Capture(path, views, points, source.points is None, test_names, rule, background, cache, offset)


def _views(plans: Iterable[PlannedView], cache: ByteCache[Pixels]) -> tuple[View, ...]:
    """Views whose pixels are kept in a cache."""
    return tuple(
        View(p.name, p.camera, p.camera_group, p.make, cache, p.original_size_px, p.files, p.time, p)
        for p in plans
    )


def _check_options(
    downscale: int, test_every: int, alpha: str, background: tuple[float, ...] | None, cache_bytes: int | None
) -> None:
    if downscale < 1 or downscale != int(downscale):
        raise ConfigError(f"downscale is {downscale}; give a whole number of at least 1")
    if test_every < 0 or test_every != int(test_every):
        raise ConfigError(f"test_every is {test_every}; give 0 (no split) or a whole number of at least 2")
    if test_every == 1:
        raise ConfigError(
            "test_every is 1, which leaves nothing to train on; give 0 (no split) or at least 2"
        )
    if alpha not in ("auto", "transparency", "mask"):
        raise ConfigError(f"alpha is {alpha!r}; give auto, transparency or mask")
    if background is not None and not (len(background) == 3 and all(0.0 <= c <= 1.0 for c in background)):
        raise ConfigError(f"background is {background}; give three numbers in [0, 1]")
    if cache_bytes is not None and cache_bytes < 0:
        raise ConfigError(f"cache_bytes is {cache_bytes}; give 0 or more")


def _check_frames(source: PosedDataset, path: Path) -> None:
    names = [frame.name for frame in source.frames]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise CaptureError(f"{path}: image {twice!r} is listed twice; remove one of the two")
    if len(names) < 2:
        raise CaptureError(
            f"{path} has {len(names)} posed image; a scene needs at least 2 from different places"
        )


def _split(source: PosedDataset, names: list[str], test_every: int, path: Path) -> tuple[frozenset[str], str]:
    if test_every == 0:
        return frozenset(), "none"
    test, rule = source.test_names, source.split_rule
    if test is None:
        ordinal = {2: "2nd", 3: "3rd"}.get(test_every, f"{test_every}th")
        test, rule = frozenset(names[::test_every]), f"every {ordinal}, sorted by name"
    if len(names) == len(test):
        raise CaptureError(f"{path}: all {len(names)} images are held out ({rule}); add images to train on")
    return test, rule
