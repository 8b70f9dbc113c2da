"""The frames taken from one video: measured once, chosen, and decoded again in full."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from sfumato.errors import CaptureError
from sfumato.footage.choose import LONGEST_GAP, Choice, Measured, choose
from sfumato.footage.kinds import Report, Source
from sfumato.footage.measure import MotionPath, brightness, contrast, sharpness
from sfumato.footage.options import LONGEST_FRAME_SIDE_PX, FrameOptions
from sfumato.footage.photos import save_picture
from sfumato.footage.records import Dropped, Picture
from sfumato.footage.video import Video, open_video

_log = logging.getLogger(__name__)

_WALL_CONTRAST = 0.02


def take_frames(
    source: Source, folder: Path, options: FrameOptions, report: Report
) -> tuple[list[Picture], list[Dropped]]:
    """Choose frames of a video and write them.

    Args:
        source: the video.
        folder: of pictures; the frames go into ``folder / source.group``.
        options: how many, and how large.
        report: called with what is done, how much of it, and of how much.

    Raises:
        CaptureError: nothing in it can be decoded.
    """
    video = open_video(source.path)
    if video is None:
        raise CaptureError(f"{source.path} is no video any more; it changed while it was read")
    measured = measure(video, report)
    if not len(measured.times_s):
        raise CaptureError(f"{source.path}: none of its frames can be decoded; copy it again from the camera")
    choice = choose(measured, options)
    _warn(source.path, measured, choice)
    pictures = _write(video, source.group, folder, measured, choice, options, report)
    dropped = [
        Dropped(str(source.path), _name(source.group, index), _reason(source.group, reason))
        for index, reason in choice.reasons.items()
    ]
    return pictures, dropped


def measure(video: Video, report: Report) -> Measured:
    """Decode a video once, small and grey, and measure each frame."""
    path = MotionPath()
    rows: list[tuple[float, float, float, float, float]] = []
    for frame in video.frames():
        luma = frame.luma
        rows.append((frame.time_s, path.add(luma), sharpness(luma), brightness(luma), contrast(luma)))
        report(
            f"looking at {video.path.name}",
            len(rows),
            video.num_frames if len(rows) <= video.num_frames else 0,
        )
    return Measured(*np.array(rows, np.float64).reshape(-1, 5).T)


def _write(
    video: Video,
    group: str,
    folder: Path,
    measured: Measured,
    choice: Choice,
    options: FrameOptions,
    report: Report,
) -> list[Picture]:
    longest = options.max_side_px or LONGEST_FRAME_SIDE_PX
    (folder / group).mkdir(parents=True, exist_ok=True)
    found = []
    for index, pixels in video.pictures(choice.kept.tolist(), longest):
        name = _name(group, index)
        save_picture(pixels, folder / name)
        found.append(
            Picture(
                name=name,
                source=str(video.path),
                camera=f"video {group}",
                size_px=(pixels.shape[1], pixels.shape[0]),
                focal_px=None,
                sequence=group,
                time_s=round(float(measured.times_s[index]), 6),
                sharpness=float(measured.sharpness[index]),
                brightness=float(measured.brightness[index]),
                gravity=None,
            )
        )
        report(f"keeping frames of {video.path.name}", len(found), len(choice.kept))
    return found


def _warn(path: Path, measured: Measured, choice: Choice) -> None:
    if float(np.median(measured.contrast)) < _WALL_CONTRAST:
        _log.warning("%s shows hardly anything but one colour; cameras are found by texture", path)
    elif choice.widest_gap > LONGEST_GAP:
        _log.warning(
            "%s: between two of its frames the picture moves by %.0f%% of its diagonal, with nothing usable "
            "in between; cameras may not connect there",
            path,
            100.0 * choice.widest_gap,
        )


def _name(group: str, index: int) -> str:
    return f"{group}/{index:06d}.jpg"


def _reason(group: str, reason: str) -> str:
    start, _, number = reason.partition(" of frame ")
    return f"{start} of {_name(group, int(number))}" if number else reason
