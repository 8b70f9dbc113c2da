"""Detection of black frames, and of masks that may be missing or inverted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sfumato.capture.images import decode_mask
from sfumato.capture.multiview.rig_source import SourceCamera

_log = logging.getLogger("sfumato")

# A picture without a pixel as bright as this is black.
_BLACK = 16
# Black frames compress well: only files smaller than this fraction of the median are decoded.
_SMALL = 0.5
_SIDE_PX = 64
# Foreground masks rarely cover as much of the picture, and never in all cameras.
_MOST_COVERED = 0.6


def without_black_frames(camera: SourceCamera, path: Path) -> SourceCamera:
    """The camera without its black frames, with a warning; unchanged if all are black.

    Args:
        camera: as read.
        path: of the dataset, for messages.
    """
    sizes = np.array([frame.path.stat().st_size if frame.path.is_file() else 0 for frame in camera.frames])
    suspects = np.flatnonzero(sizes < _SMALL * np.median(sizes)) if len(sizes) else np.arange(0)
    black = {int(i) for i in suspects if is_black(camera.frames[i].path)}
    if not black or len(black) == len(camera.frames):
        return camera
    _log.warning(
        "%s: black frames of camera %s are left out: %d, the first is %s",
        path, camera.name, len(black), camera.frames[min(black)].path.name,
    )  # fmt: skip
    kept = [i for i in range(len(camera.frames)) if i not in black]
    return SourceCamera(
        camera.name, tuple(camera.frames[i] for i in kept), tuple(camera.foregrounds[i] for i in kept)
    )


def is_black(path: Path) -> bool:
    """Whether a picture is black."""
    return int(small_grey(path, _SIDE_PX).max()) < _BLACK


def small_grey(path: Path, side_px: int) -> np.ndarray:
    """A picture in grey, uint8 [h, w], no side above ``side_px``; one white pixel if it cannot be decoded."""
    try:
        with Image.open(path) as image:
            image.draft("L", (2 * side_px, 2 * side_px))
            image.thumbnail((side_px, side_px), Image.Resampling.BOX)
            return np.asarray(image.convert("L"))
    except Exception:
        # The error is raised when the picture is decoded for use.
        return np.full((1, 1), 255, np.uint8)


def check_masks(cameras: Sequence[SourceCamera], path: Path) -> None:
    """Warn if some foreground masks are missing, or cover most of the picture in every camera.

    Args:
        cameras: all of them.
        path: of the dataset, for messages.
    """
    firsts = [next((mask for mask in camera.foregrounds if mask), None) for camera in cameras]
    without = [camera.name for camera, first in zip(cameras, firsts, strict=True) if first is None]
    given = [first for first in firsts if first is not None]
    if not given:
        return
    if without:
        _log.warning(
            "%s: %d of %d cameras have no foreground masks: %s",
            path, len(without), len(cameras), ", ".join(without[:12]),
        )  # fmt: skip
    gaps = sum(mask is None for c in cameras for mask in c.foregrounds if c.name not in without)
    if gaps:
        _log.warning("%s: %d frames of the other cameras have no foreground mask", path, gaps)
    covered = [float((decode_mask(mask, turn=False) > 0).mean()) for mask in given]
    if min(covered) > _MOST_COVERED:
        _log.warning(
            "%s: foreground masks cover %.0f%% of the picture or more in every camera; they may be "
            "inverted: white is what moves", path, 100.0 * min(covered),
        )  # fmt: skip
