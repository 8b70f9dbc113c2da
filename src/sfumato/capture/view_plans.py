"""Cameras of the training views, and plans for decoding their pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from sfumato.capture.images import ImageHeader, read_header
from sfumato.capture.pixels import PixelPlan, Pixels, make_pixels, same_shape
from sfumato.capture.readers import PosedImage
from sfumato.capture.resample import DistortedCamera, Resampler, pinhole_scale
from sfumato.errors import CaptureError, ConfigError
from sfumato.scene.cameras import Camera


@dataclass(frozen=True)
class PlannedView:
    """A ``View`` without its cache, and whether its picture file has an alpha channel."""

    name: str
    camera: Camera
    camera_group: int
    plan: PixelPlan
    original_size_px: tuple[int, int]
    files: tuple[Path, ...]
    time: float | None
    has_alpha: bool

    @property
    def make(self) -> Callable[[], Pixels]:
        """Decodes the picture."""
        return partial(make_pixels, self.plan)

    def resized(self, size_px: tuple[int, int]) -> PlannedView:
        """The same view at another size, not larger than the original, resampled from its file."""
        camera = self.camera.resized(*size_px)
        plan = replace(self.plan, size_px=size_px)
        if plan.resampler is not None:
            plan = replace(plan, resampler=_resampler(plan.resampler.source, camera))
        if plan.distorted is not None:
            plan = replace(plan, distorted=camera)
        return replace(self, camera=camera, plan=plan)


def plan_views(
    frames: Iterable[PosedImage], *, downscale: int, alpha_is_mask: bool, undistort: bool = True
) -> list[PlannedView]:
    """Views sorted by name.

    Args:
        frames: as read.
        downscale: to floor(size / downscale) pixels.
        alpha_is_mask: whether an alpha channel is a mask.
        undistort: undistort to pinholes, except panoramas; False: keep pictures and lenses.

    Raises:
        CaptureError: a picture is missing or has another shape than its camera.
        ConfigError: ``downscale`` leaves no pixels.
    """
    groups: dict[Hashable, int] = {}
    scales = lru_cache(maxsize=None)(pinhole_scale)
    planned = []
    for frame in sorted(frames, key=lambda frame: frame.name):
        header = read_header(frame.path)
        turn, source = stored_camera(frame, header)
        size_px = source.size_px
        plan = PixelPlan(
            frame.path, frame.mask_path, turn, size_px, _small(frame, size_px, downscale), None, alpha_is_mask
        )
        is_distorted = not source.lens.is_pinhole
        is_resampled = is_distorted and undistort and not source.lens.is_panorama
        scale = scales(source) if is_resampled else 1.0
        whole = Camera(
            torch.from_numpy(frame.camera_from_world),
            (source.focal_px[0] * scale, source.focal_px[1] * scale),
            source.centre_px,
            size_px,
        )
        camera = whole.resized(*plan.size_px)
        if is_resampled:
            plan = replace(plan, resampler=_resampler(source, camera))
        elif is_distorted:
            camera = replace(camera, lens=source.lens)
            plan = replace(plan, distorted=camera)
        group = groups.setdefault((frame.intrinsics.camera_id, source), len(groups))
        files = tuple(path for path in (plan.path, plan.mask_path) if path is not None)
        planned.append(
            PlannedView(frame.name, camera, group, plan, size_px, files, frame.time, header.has_alpha)
        )
    return planned


def stored_camera(frame: PosedImage, header: ImageHeader) -> tuple[bool, DistortedCamera]:
    """Whether to apply the EXIF orientation of the stored picture, and the camera of the resulting pixels.

    COLMAP and similar programs calibrate pixels as stored, whatever the orientation; so it is applied only if
    the picture has the camera's aspect ratio with it and not without.

    Args:
        frame: as read.
        header: of its picture.

    Raises:
        CaptureError: the picture has another shape than its camera.
    """
    declared = frame.intrinsics
    turned = header.size_px[::-1]
    if same_shape(header.size_px, declared.size_px):
        turn, size_px = False, header.size_px
    elif header.is_turned and same_shape(turned, declared.size_px):
        turn, size_px = True, turned
    else:
        raise CaptureError(
            f"{frame.path} is {header.size_px[0]}x{header.size_px[1]} pixels but its camera is for "
            f"{declared.size_px[0]}x{declared.size_px[1]}; give the pictures that were calibrated, or the "
            "same resized"
        )
    sx, sy = (new / old for new, old in zip(size_px, declared.size_px, strict=True))
    focal_px = (declared.focal_px[0] * sx, declared.focal_px[1] * sy)
    centre_px = (declared.centre_px[0] * sx, declared.centre_px[1] * sy)
    return turn, DistortedCamera(focal_px, centre_px, size_px, declared.lens)


def reduced_size(size_px: tuple[int, int], side_px: int) -> tuple[int, int]:
    """(width, height) with a long side of ``side_px``, in the same shape; never larger than ``size_px``."""
    factor = min(1.0, side_px / max(size_px))
    width, height = (max(1, round(side * factor)) for side in size_px)
    return width, height


def _resampler(source: DistortedCamera, pinhole: Camera) -> Resampler:
    return Resampler(source, pinhole.focal_px, pinhole.centre_px, pinhole.size_px)


def _small(frame: PosedImage, size_px: tuple[int, int], downscale: int) -> tuple[int, int]:
    width, height = (math.floor(side / downscale) for side in size_px)
    if min(width, height) < 8:
        raise ConfigError(
            f"downscale {downscale} leaves {width}x{height} pixels of {frame.name}; give a smaller one"
        )
    return width, height
