"""Offsets between the clocks of calibrated cameras, from motion in their pictures.

Motion in an epipolar plane of two cameras appears in both pictures on a pair of epipolar lines. Once the
clocks agree, the amount of change on corresponding lines over time is similar: the offset of two cameras
maximises the correlation of these signals over all lines; those of several cameras are fitted to all pairs.

Source: Ben-Artzi, Kasten, Peleg and Werman, Camera Calibration from Dynamic Silhouettes Using Motion
Barcodes, CVPR 2016, for the signals of lines.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import sparse

from sfumato.capture.multiview.agreed_offsets import PairOffset, agreed_offsets
from sfumato.capture.multiview.frame_checks import small_grey
from sfumato.capture.multiview.rig_source import SourceCamera
from sfumato.capture.multiview.synchronise import frame_times
from sfumato.errors import CaptureError
from sfumato.scene.unprojection import undistort

_log = logging.getLogger("sfumato")

_SIDE_PX, _LINES, _LEAST_PIXELS = 96, 48, 3
# Fraction of epipolar angles, near the border of the picture, that is ignored.
_BORDER_SHARE = 0.01
# Number of time steps per frame at which signals are compared.
_FINENESS = 2
_LEAST_FRAMES = 16
# Least overlap of two videos, as a fraction of the shorter one.
_LEAST_OVERLAP = 0.5
# Below this correlation two cameras see no common motion.
_LEAST_CORRELATION = 0.2
# Threshold of a change: standard deviations of the noise plus grey levels.
_NOISE, _LEVELS = 4.0, 1.0
# With more cameras than this, only neighbours are compared, and all with the first.
_MOST_ALL_PAIRS, _NEIGHBOURS = 8, 4


@dataclass(frozen=True)
class _Motion:
    """Changes between consecutive pictures of one camera.

    Attributes:
        changes: uint8 [n - 1, p] at each of p pixels, grey levels above the noise.
        times: [n - 1] midpoints between frames, seconds.
        directions: [p, 3] of the pixels, world frame.
        centre: [3] of the camera, world frame.
        forward: [3] its optical axis, world frame.
    """

    changes: np.ndarray
    times: np.ndarray
    directions: np.ndarray
    centre: np.ndarray
    forward: np.ndarray


def estimated_offsets(cameras: Sequence[SourceCamera], path: Path) -> dict[str, float]:
    """Seconds to add to the times of each camera; 0 for the first. Warnings report their uncertainty.

    Args:
        cameras: with at least 16 frames each; all frames are decoded at a small size.
        path: of the dataset, for messages.

    Raises:
        CaptureError: a camera has too few frames, or no motion in common with the others.
    """
    short = next((camera for camera in cameras if len(camera.frames) < _LEAST_FRAMES), None)
    if short is not None:
        raise CaptureError(
            f"{path}: camera {short.name} has {len(short.frames)} frames; offsets are estimated from at "
            f"least {_LEAST_FRAMES}: give them"
        )
    frame = min(float(np.median(np.diff(frame_times(camera)))) for camera in cameras)
    motions = [_motion(camera) for camera in cameras]
    pairs = [_pair(i, j, motions[i], motions[j], frame / _FINENESS) for i, j in _compared(motions)]
    offsets, deviations = agreed_offsets([pair for pair in pairs if pair is not None], len(cameras), frame)
    lost = next((i for i, value in enumerate(offsets) if not np.isfinite(value)), None)
    if lost is not None:
        raise CaptureError(
            f"{path}: camera {cameras[lost].name} sees no motion in common with the others; its offset "
            "cannot be estimated: give offsets"
        )
    told = zip(cameras, offsets, deviations, strict=True)
    _log.warning(
        "%s: estimated offsets, with standard deviations: %s", path,
        ", ".join(f"{c.name} {o:+.4f} s ({d / frame:.2f} frames)" for c, o, d in told),
    )  # fmt: skip
    unsure = [c.name for c, d in zip(cameras, deviations, strict=True) if d > 0.5 * frame]
    if unsure:
        _log.warning(
            "%s: the offsets of %s may be off by more than half a frame; give them if they are known",
            path, ", ".join(unsure),
        )  # fmt: skip
    return {camera.name: float(offset) for camera, offset in zip(cameras, offsets, strict=True)}


def _motion(camera: SourceCamera) -> _Motion:
    first = camera.frames[0]
    grey = [small_grey(frame.path, _SIDE_PX) for frame in camera.frames]
    # A frame that cannot be decoded counts as unchanged from the first.
    grey = [picture if picture.shape == grey[0].shape else grey[0] for picture in grey]
    height, width = grey[0].shape
    change = np.abs(np.diff(np.stack(grey).reshape(len(grey), -1).astype(np.int16), axis=0))
    threshold = _NOISE * 1.4826 * float(np.median(change)) + _LEVELS
    camera_from_world, given = first.camera_from_world, first.intrinsics
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1) * given.size_px
    rays = undistort(given.lens, (pixels - np.array(given.centre_px)) / given.focal_px)
    times = frame_times(camera)
    return _Motion(
        np.clip(change - threshold, 0, 255).astype(np.uint8),
        0.5 * (times[1:] + times[:-1]),
        rays @ camera_from_world[:3, :3],
        -camera_from_world[:3, :3].T @ camera_from_world[:3, 3],
        camera_from_world[2, :3],
    )


def _compared(motions: Sequence[_Motion]) -> list[tuple[int, int]]:
    """Pairs of cameras: all if there are few; otherwise neighbours, and all with the first."""
    count = len(motions)
    if count <= _MOST_ALL_PAIRS:
        return list(combinations(range(count), 2))
    centres = np.stack([motion.centre for motion in motions])
    away = np.linalg.norm(centres[:, None] - centres, axis=2)
    near = {
        (min(i, int(j)), max(i, int(j))) for i in range(count) for j in away[i].argsort()[1 : _NEIGHBOURS + 1]
    }
    return sorted(near | {(0, j) for j in range(1, count)})


def _pair(i: int, j: int, one: _Motion, two: _Motion, step: float) -> PairOffset | None:
    """The offset at which the signals of two cameras correlate most; None if they do not correlate."""
    signals = _signals(one, two)
    if signals is None:
        return None
    (start_i, a), (start_j, b) = (
        _on_clock(motion.times, rows, step) for motion, rows in zip((one, two), signals, strict=True)
    )
    least = int(_LEAST_OVERLAP * min(len(a), len(b)))
    shifts = np.arange(least - len(b), len(a) - least + 1)
    values = np.array([_correlation(a, b, int(shift)) for shift in shifts])
    overlaps = np.minimum(len(a), shifts + len(b)) - np.maximum(0, shifts)
    # Weighted by overlap, as short signals correlate by chance.
    best = int((values * np.sqrt(overlaps)).argmax())
    peak = float(values[best])
    if peak < _LEAST_CORRELATION or not 0 < best < len(values) - 1:
        return None
    # Sub-step maximum by a parabola through the highest value and its neighbours.
    before, after = float(values[best - 1]), float(values[best + 1])
    curvature = max(2.0 * peak - before - after, 1e-6)
    shift = float(shifts[best]) + float(np.clip(0.5 * (after - before) / curvature, -1.0, 1.0))
    frames = max(1.0, float(overlaps[best]) / _FINENESS)
    deviation = np.sqrt(max(1.0 - peak**2, 0.0) / (frames * peak * curvature)) * step
    return PairOffset(i, j, (start_i - start_j + shift) * step, peak, float(deviation))


def _signals(one: _Motion, two: _Motion) -> tuple[np.ndarray, np.ndarray] | None:
    """Amount of change on each epipolar line over time, in both cameras; None if they share no lines."""
    baseline = two.centre - one.centre
    length = float(np.linalg.norm(baseline))
    if not length:
        return None
    baseline /= length
    ahead = one.forward + two.forward
    ahead = ahead - baseline * (ahead @ baseline)
    if np.linalg.norm(ahead) < 1e-6:
        return None
    ahead /= np.linalg.norm(ahead)
    aside = np.cross(baseline, ahead)
    # Angle of the half plane, bounded by the baseline, in which a pixel's ray lies: a point has one angle in
    # both.
    angles = [np.arctan2(motion.directions @ aside, motion.directions @ ahead) for motion in (one, two)]
    low = max(float(np.quantile(angle, _BORDER_SHARE)) for angle in angles)
    high = min(float(np.quantile(angle, 1.0 - _BORDER_SHARE)) for angle in angles)
    if not low < high:
        return None
    lines = [np.floor((angle - low) / (high - low) * _LINES).astype(np.int64) for angle in angles]
    counts = [np.bincount(line[(line >= 0) & (line < _LINES)], minlength=_LINES) for line in lines]
    both = np.flatnonzero((counts[0] >= _LEAST_PIXELS) & (counts[1] >= _LEAST_PIXELS))
    if not len(both):
        return None
    found = []
    for motion, line, count in zip((one, two), lines, counts, strict=True):
        inside = np.flatnonzero((line >= 0) & (line < _LINES))
        shape = (_LINES, len(line))
        means = sparse.csr_matrix((1.0 / count[line[inside]], (line[inside], inside)), shape, np.float32)
        # Square root, so that one burst of motion does not dominate.
        found.append(np.sqrt((means[both] @ motion.changes.T.astype(np.float32)).T))
    return found[0], found[1]


def _on_clock(times: np.ndarray, rows: np.ndarray, step: float) -> tuple[int, np.ndarray]:
    """Rows at multiples of ``step``, interpolated: the first multiple, and [m, lines] from there on."""
    first, last = int(np.ceil(times[0] / step)), int(np.floor(times[-1] / step))
    clock = step * np.arange(first, last + 1)
    return first, np.stack([np.interp(clock, times, row) for row in rows.T], axis=1)


def _correlation(a: np.ndarray, b: np.ndarray, shift: int) -> float:
    """Correlation of ``a`` with ``b``, which begins ``shift`` later, over their overlap, minus line means."""
    first, last = max(0, shift), min(len(a), shift + len(b))
    x, y = a[first:last], b[first - shift : last - shift]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / scale if scale > 1e-9 else 0.0
