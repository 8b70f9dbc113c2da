"""Training targets from pictures and masks on disk."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sfumato.capture.images import decode_mask, open_picture
from sfumato.capture.resample import Resampler, area_average
from sfumato.capture.strips import ArrayStrips, Strips, strips_of
from sfumato.errors import CaptureError
from sfumato.scene.cameras import Camera
from sfumato.scene.pixel_directions import pixels_with_rays

_log = logging.getLogger("sfumato")

MAX_ASPECT_ERROR = 0.01


@dataclass(frozen=True)
class Pixels:
    """A training target: a picture decoded, downscaled, and undistorted unless that is switched off.

    Attributes:
        rgb:   uint8 [h, w, 3], sRGB-encoded; premultiplied by alpha where there is alpha.
        alpha: uint8 [h, w] or None; the target is rgb + (1 - alpha) * background.
        mask:  bool [h, w] or None; False is ignored in the loss.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    mask: np.ndarray | None = None

    def part(self, rows: slice, columns: slice) -> Pixels:
        """A crop of it; the arrays share their memory."""
        planes = (None if plane is None else plane[rows, columns] for plane in (self.alpha, self.mask))
        return Pixels(self.rgb[rows, columns], *planes)

    @property
    def num_bytes(self) -> int:
        """Memory of the arrays."""
        return sum(plane.nbytes for plane in (self.rgb, self.alpha, self.mask) if plane is not None)


@dataclass(frozen=True)
class PixelPlan:
    """Instructions for loading the pixels of one view.

    Attributes:
        path: the picture.
        mask_path: its mask file, or None.
        turn: whether to apply the EXIF orientation.
        source_size_px: (width, height) of the picture, after that.
        size_px: (width, height) of the result.
        resampler: undistorts; None for a pinhole, which is only downscaled by area average.
        alpha_is_mask: whether an alpha channel is a mask rather than transparency.
        distorted: camera of the result if it keeps a distorted lens, else None.
    """

    path: Path
    mask_path: Path | None
    turn: bool
    source_size_px: tuple[int, int]
    size_px: tuple[int, int]
    resampler: Resampler | None
    alpha_is_mask: bool
    distorted: Camera | None = None


def make_pixels(plan: PixelPlan) -> Pixels:
    """Decode, undistort and downscale one picture.

    A downscaled pixel is kept if the mask keeps at least half of it. If alpha is a mask, colours are averaged
    over kept pixels only, because colours under alpha 0 are arbitrary.

    Raises:
        CaptureError: a file cannot be decoded, or changed its size since the capture was loaded.
    """
    rgb, alpha = _colours(plan)
    seen = _seen(plan)
    keeps = [] if seen is None else [seen]
    if plan.mask_path is not None:
        keeps.append(make_mask(plan))
    if alpha is not None and plan.alpha_is_mask:
        keeps.append(alpha >= 128)
        rgb = np.clip(rgb * (255.0 / np.maximum(alpha, 1))[..., None] + 0.5, 0, 255).astype(np.uint8)
        alpha = None
    mask = np.logical_and.reduce(keeps) if keeps else None
    if mask is not None and not mask.any():
        _warn_of_empty_mask(plan.path)
    return Pixels(np.ascontiguousarray(rgb), alpha, None if mask is None or mask.all() else mask)


def make_mask(plan: PixelPlan) -> np.ndarray:
    """bool [h, w]: the pixels at least half of which the plan's mask file keeps.

    Raises:
        CaptureError: the file cannot be decoded, or has another shape than its picture.
    """
    return _resampled(ArrayStrips(_read_mask(plan)[..., None]), plan)[..., 0] >= 128


def _colours(plan: PixelPlan) -> tuple[np.ndarray, np.ndarray | None]:
    """uint8 [h, w, 3], premultiplied, and alpha [h, w]; None if that is opaque everywhere."""
    picture = open_picture(plan.path, turn=plan.turn)
    height, width, channels = picture.shape
    if (width, height) != plan.source_size_px:
        raise CaptureError(f"{plan.path} changed while it was in use; load the capture again")
    strips = strips_of(height, width * channels)
    has_alpha = channels == 4 and any((picture.rows(*strip)[..., 3] < 255).any() for strip in strips)
    made = _resampled(_Premultiplied(picture, has_alpha, plan.alpha_is_mask), plan)
    return made[..., :3], made[..., 3] if has_alpha else None


@dataclass(frozen=True)
class _Premultiplied:
    """A picture with colours premultiplied by alpha, the fourth channel."""

    picture: Strips
    has_alpha: bool
    alpha_is_mask: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return (*self.picture.shape[:2], 4 if self.has_alpha else 3)

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """uint8 [rows, w, 3 or 4]; alpha used as a mask is 0 or 255."""
        rows = self.picture.rows(top, bottom)
        if not self.has_alpha:
            return rows[..., :3]
        alpha = rows[..., 3:]
        if self.alpha_is_mask:
            alpha = np.where(alpha >= 128, np.uint8(255), np.uint8(0))
        colours = (rows[..., :3].astype(np.uint16) * alpha + 127) // 255
        return np.concatenate([colours.astype(np.uint8), alpha], axis=2)


@lru_cache(maxsize=4096)
def _warn_of_empty_mask(path: Path) -> None:
    """Warn once per picture, however often it is decoded."""
    _log.warning("%s is not used for training: its mask or alpha keeps no pixel", path)


def same_shape(size_px: tuple[int, int], other_px: tuple[int, int]) -> bool:
    """Whether two (width, height) have the same aspect ratio, within 1% or a pixel of rounding."""
    ratio = (size_px[0] / other_px[0]) / (size_px[1] / other_px[1])
    rounding = 1.0 / min(*size_px, *other_px)
    return abs(ratio - 1.0) <= max(MAX_ASPECT_ERROR, rounding)


def _seen(plan: PixelPlan) -> np.ndarray | None:
    """bool [h, w]: the pixels inside both the picture and the valid range of the lens; None for all."""
    if plan.distorted is not None:
        return pixels_with_rays(plan.distorted).numpy()
    return None if plan.resampler is None else plan.resampler.seen()


def _read_mask(plan: PixelPlan) -> np.ndarray:
    width, height = plan.source_size_px
    assert plan.mask_path is not None
    mask = decode_mask(plan.mask_path, turn=plan.turn)
    if mask.shape == (height, width):
        return mask
    if not same_shape(mask.shape[::-1], (width, height)):
        raise CaptureError(
            f"{plan.mask_path} is {mask.shape[1]}x{mask.shape[0]} but its picture {plan.path.name} is "
            f"{width}x{height}; make the mask for the picture's shape"
        )
    rows = (np.arange(height) * mask.shape[0]) // height
    columns = (np.arange(width) * mask.shape[1]) // width
    return mask[rows[:, None], columns]


def _resampled(picture: Strips, plan: PixelPlan) -> np.ndarray:
    return area_average(picture, plan.size_px) if plan.resampler is None else plan.resampler(picture)
