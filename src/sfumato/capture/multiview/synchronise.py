"""Assignment of the timed frames of several cameras to common steps."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.capture.multiview.rig_source import SourceCamera
from sfumato.errors import CaptureError, ConfigError

_log = logging.getLogger("sfumato")

# Of the shortest interval between two frames of a camera: largest difference of times within a step, and
# least difference between steps.
_SAME, _OTHER = 0.1, 0.9
# More steps than this many times the frames of the longest video mean that times are wrong.
_MOST_STEPS_PER_FRAME = 10


@dataclass(frozen=True)
class Steps:
    """The frame of each camera at each step.

    Attributes:
        times: [s] of the steps, seconds, ascending.
        frames: for each camera, [s] indices of its frames, -1 where it has none.
    """

    times: np.ndarray
    frames: tuple[np.ndarray, ...]


def frame_times(camera: SourceCamera) -> np.ndarray:
    """[n] times of a camera's frames, by its own clock, seconds."""
    return np.array([frame.time for frame in camera.frames], np.float64)


def steps_of(names: Sequence[str], times: Sequence[np.ndarray], path: Path) -> Steps:
    """Common steps of several cameras.

    If the cameras are synchronised, there is a step at each of their shared times. Otherwise steps have the
    frame interval of the slowest camera, from the time at which all cameras have begun, and each camera
    contributes its nearest frame, at most half of its own interval away.

    Args:
        names: of the cameras, for messages.
        times: for each camera [n] ascending times of its frames on a common clock, seconds.
        path: of the dataset, for messages.

    Raises:
        CaptureError: a camera has two frames with the same time, or ends before another begins.
    """
    for name, of_camera in zip(names, times, strict=True):
        if len(of_camera) > 1 and not (np.diff(of_camera) > 0).all():
            raise CaptureError(f"{path}: camera {name} has two frames of one time; remove one of the two")
    every = np.sort(np.concatenate(times))
    gaps = np.concatenate([np.diff(of_camera) for of_camera in times])
    gaps = gaps if len(gaps) else np.diff(np.unique(every))
    shortest = float(gaps.min()) if len(gaps) else 1.0
    new = np.concatenate([[True], np.diff(every) > _SAME * shortest])
    starts = every[new]
    if len(starts) < 2 or np.diff(starts).min() >= _OTHER * shortest:
        return _on_shared_times(every, new, times)
    return _on_a_clock(names, times, path)


def _on_shared_times(every: np.ndarray, new: np.ndarray, times: Sequence[np.ndarray]) -> Steps:
    """A step at each time, shared by frames up to rounding."""
    starts = every[new]
    frames = tuple(np.full(len(starts), -1) for _ in times)
    for found, of_camera in zip(frames, times, strict=True):
        found[np.searchsorted(starts, of_camera, side="right") - 1] = np.arange(len(of_camera))
    return Steps(starts, frames)


def _on_a_clock(names: Sequence[str], times: Sequence[np.ndarray], path: Path) -> Steps:
    """Steps at equal intervals, and the nearest frame at each."""
    late = max(range(len(names)), key=lambda i: float(times[i][0]))
    step = max(float(np.median(np.diff(of_camera))) for of_camera in times if len(of_camera) > 1)
    start = float(times[late][0])
    for name, of_camera in zip(names, times, strict=True):
        if of_camera[-1] < start - 0.5 * step:
            raise CaptureError(
                f"{path}: camera {name} ends {start - of_camera[-1]:.3g} s before camera "
                f"{names[late]} begins; correct the offsets, or leave one of them out"
            )
    last = max(float(of_camera[-1]) for of_camera in times)
    count = int((last - start) / step + 0.5) + 1
    if count > _MOST_STEPS_PER_FRAME * max(map(len, times)):
        raise CaptureError(f"{path}: its frames are seconds to years apart; correct their times")
    clock = start + step * np.arange(count)
    frames, farthest = [], 0.0
    for of_camera in times:
        index = np.searchsorted(0.5 * (of_camera[1:] + of_camera[:-1]), clock)
        away = np.abs(of_camera[index] - clock)
        own = float(np.median(np.diff(of_camera))) if len(of_camera) > 1 else step
        index[away > 0.5 * min(step, own) * (1 + 1e-9)] = -1
        farthest = max(farthest, float(away[index >= 0].max(initial=0.0)))
        frames.append(index)
    _log.info("%s: frames are up to %.1f ms from the time of their step", path, 1e3 * farthest)
    return Steps(clock, tuple(frames))


def seconds_of(
    offsets: Mapping[str, float | str], cameras: Sequence[SourceCamera], path: Path
) -> dict[str, float]:
    """Offsets of cameras' clocks in seconds, 0 where none is given.

    Args:
        offsets: by camera name: what to add to its times, as a number of seconds, or as text in frames of
            the camera, such as "3f".
        cameras: all of them.
        path: of the dataset, for messages.

    Raises:
        ConfigError: there is no such camera, or an offset is not a number.
    """
    known = {camera.name: camera for camera in cameras}
    unknown = next((name for name in offsets if name not in known), None)
    if unknown is not None:
        raise ConfigError(f"offsets names {unknown!r}; {path} has the cameras {', '.join(known)}")
    return {name: _seconds(name, offsets.get(name, 0.0), camera) for name, camera in known.items()}


def _seconds(name: str, value: float | str, camera: SourceCamera) -> float:
    text = str(value).strip().lower()
    unit = next((unit for unit in ("frames", "frame", "f", "s") if text.endswith(unit)), "")
    try:
        given = float(text[: len(text) - len(unit)])
    except ValueError:
        given = np.nan
    if not abs(given) < 1e9:
        raise ConfigError(
            f"the offset of camera {name} is {value!r}; give seconds, such as 0.25, or frames, such as 3f"
        )
    times = frame_times(camera)
    return given * (float(np.median(np.diff(times))) if unit.startswith("f") and len(times) > 1 else 1.0)
