"""Selection of video frames: sharp, and evenly spaced along the camera motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from sfumato.footage.frame_options import FEWEST_FRAMES, MOST_FRAMES, FrameOptions

STEP = 0.015
"""Motion from one kept frame to the next, in diagonals: each point is then seen by some fifty frames.

Twice this step costs 0.6 dB on the embedded video."""

LONGEST_GAP = 0.15
"""Beyond it neighbours may overlap too little, once rotation and parallax are added, to be matched."""

SHORTEST_STEP = 0.004
"""Less motion than this (8 pixels in full HD) adds no baseline: the frame is a duplicate."""

_BLURRED = 0.5
_DARK = 0.25
_FLAT = 0.3
_BLACK = 0.02
_NEIGHBOURS_S = 1.5
_CENTRED = 0.3
_UNEVEN = 0.3
_TIME_SHARE = 0.3


@dataclass(frozen=True)
class FrameMeasures:
    """Measures of every frame of a video.

    Attributes:
        times_s:    [n] ascending.
        positions:  [n] length of the image motion up to the frame, in diagonals; never decreases.
        sharpness:  [n] see `sfumato.footage.measure.sharpness`.
        brightness: [n] mean luma in [0, 1].
        contrast:   [n] standard deviation of the luma.
    """

    times_s: NDArray[np.float64]
    positions: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]


@dataclass(frozen=True)
class FrameChoice:
    """The frames to keep, and the reasons against unusable ones.

    Attributes:
        kept: [m] indices of frames, ascending.
        reasons: index of an unusable frame -> reason.
        widest_gap: largest motion between two consecutive kept frames, in diagonals.
    """

    kept: NDArray[np.intp]
    reasons: dict[int, str]
    widest_gap: float


def choose(measured: FrameMeasures, options: FrameOptions) -> FrameChoice:
    """Choose the sharpest frame in each of equal intervals of motion.

    Frames much blurrier than those around them, and those much darker or lower in contrast than the rest, are
    never chosen. A camera at rest gives one frame per stop. Where no motion can be tracked (a white wall),
    frames are evenly spaced in time instead.

    Args:
        measured: measures of all frames; n may be 0.
        options: ``max_frames`` and ``keep_duplicates``.

    Returns:
        The choice; fewer frames than requested if the video has no more distinct ones.
    """
    reasons = unusable(measured)
    usable = np.ones(len(measured.times_s), bool)
    usable[list(reasons)] = False
    if not usable.any():
        return FrameChoice(np.zeros(0, np.intp), reasons, 0.0)
    path = measured.positions - measured.positions[0]
    is_still = path[-1] < SHORTEST_STEP
    if is_still and (options.keep_duplicates or not _has_texture(measured, usable)):
        path = _elapsed(measured.times_s)
    count = _count(float(path[-1]), options)
    spread = _spread(path, measured.times_s)
    relative_sharpness = measured.sharpness / np.maximum(_running_median(measured), 1e-9)
    kept = _sharpest_of_each_interval(spread, relative_sharpness, usable, count)
    kept = _close_gaps(path, relative_sharpness, usable, kept, options.max_frames or MOST_FRAMES)
    if not options.keep_duplicates:
        shortest = max(SHORTEST_STEP, _UNEVEN * float(path[-1]) / count)
        kept = _without_rests(path, relative_sharpness, kept, shortest, reasons)
    gaps = np.diff(path[kept])
    return FrameChoice(kept, reasons, float(gaps.max()) if len(gaps) else 0.0)


def unusable(measured: FrameMeasures) -> dict[int, str]:
    """Index -> reason of the unusable frames."""
    if not len(measured.times_s):
        return {}
    reasons: dict[int, str] = {}
    typical_light = float(np.median(measured.brightness))
    typical_contrast = float(np.median(measured.contrast))
    around = _running_median(measured)
    for i in range(len(measured.times_s)):
        if measured.brightness[i] < max(_BLACK, _DARK * typical_light):
            reasons[i] = "too dark"
        elif measured.contrast[i] < _FLAT * typical_contrast:
            reasons[i] = "covered, or nothing to see"
        elif measured.sharpness[i] < _BLURRED * around[i]:
            reasons[i] = "blurred"
    return reasons


def _has_texture(measured: FrameMeasures, usable: NDArray[np.bool_]) -> bool:
    return bool(np.median(measured.contrast[usable]) > 0.02)


def _count(length: float, options: FrameOptions) -> int:
    wanted = math.ceil(length / STEP)
    most = options.max_frames or MOST_FRAMES
    return min(max(wanted, FEWEST_FRAMES), most)


def _running_median(measured: FrameMeasures) -> NDArray[np.float64]:
    """[n] median sharpness of the frames within a second and a half of each."""
    n = len(measured.times_s)
    seconds = max(float(measured.times_s[-1] - measured.times_s[0]), 1e-9)
    taps = min(max(2, round(_NEIGHBOURS_S * n / seconds)), n - 1)
    return median_filter(measured.sharpness, size=2 * taps + 1, mode="nearest")


def _spread(path: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n] positions in which frames are evenly spaced: motion plus a small share of time."""
    return path + _TIME_SHARE * float(path[-1]) * _elapsed(times_s)


def _elapsed(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n] time from 0 at the first frame to 1 at the last."""
    return (times_s - times_s[0]) / max(float(times_s[-1] - times_s[0]), 1e-9)


def _sharpest_of_each_interval(
    path: NDArray[np.float64], relative_sharpness: NDArray[np.float64], usable: NDArray[np.bool_], count: int
) -> NDArray[np.intp]:
    width = max(float(path[-1]), 1e-12) / count
    interval = np.minimum((path / width).astype(int), count - 1)
    # Among frames of similar sharpness, central ones keep the spacing even.
    off_centre = np.abs(path / width - interval - 0.5) * 2.0
    score = np.where(usable, relative_sharpness * (1.0 - _CENTRED * off_centre**2), -1.0)
    kept = []
    for k in np.unique(interval[usable]):
        members = np.flatnonzero(interval == k)
        kept.append(members[score[members].argmax()])
    return np.array(kept, np.intp)


def _close_gaps(
    path: NDArray[np.float64],
    relative_sharpness: NDArray[np.float64],
    usable: NDArray[np.bool_],
    kept: NDArray[np.intp],
    most: int,
) -> NDArray[np.intp]:
    """The kept frames and others added in gaps that are too long, near their middle first."""
    chosen = sorted(int(k) for k in kept)
    at = 0
    while at + 1 < len(chosen) and len(chosen) < most:
        first, last = chosen[at], chosen[at + 1]
        between = np.arange(first + 1, last)[usable[first + 1 : last]]
        if path[last] - path[first] <= LONGEST_GAP or not len(between):
            at += 1
            continue
        middle = 0.5 * (path[first] + path[last])
        distance = np.abs(path[between] - middle) / (path[last] - path[first])
        chosen.insert(at + 1, int(between[(relative_sharpness[between] - 4.0 * distance).argmax()]))
    return np.array(chosen, np.intp)


def _without_rests(
    path: NDArray[np.float64],
    relative_sharpness: NDArray[np.float64],
    kept: NDArray[np.intp],
    shortest: float,
    reasons: dict[int, str],
) -> NDArray[np.intp]:
    """The sharpest of each group of frames of a camera at rest; the others go to ``reasons``."""
    left: list[int] = []
    for frame in map(int, kept):
        if not left or path[frame] - path[left[-1]] >= shortest:
            left.append(frame)
            continue
        worse = frame
        if relative_sharpness[frame] > relative_sharpness[left[-1]]:
            worse, left[-1] = left[-1], frame
        reasons[worse] = f"near duplicate of frame {left[-1]}"
    return np.array(left, np.intp)
