"""Frames of one video: measured, selected, and decoded at full size; or all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sfumato.errors import CaptureError
from sfumato.footage.choose import LONGEST_GAP, FrameChoice, FrameMeasures, choose
from sfumato.footage.frame_options import LONGEST_FRAME_SIDE_PX, FrameOptions
from sfumato.footage.frames_file import Dropped, Picture
from sfumato.footage.kinds import Progress, Source
from sfumato.footage.measure import MotionPath, brightness, contrast, sharpness
from sfumato.footage.photos import save_picture
from sfumato.footage.video import Stamps, Video, open_video

_log = logging.getLogger(__name__)

_WALL_CONTRAST = 0.02


def select_frames(
    source: Source, folder: Path, options: FrameOptions, report: Progress
) -> tuple[list[Picture], list[Dropped]]:
    """Choose frames of a video and write them.

    Args:
        source: the video.
        folder: the picture folder; the frames go into ``folder / source.group``.
        options: number and size of the frames.
        report: called with the title of the step, the amount done, and the total.

    Raises:
        CaptureError: nothing in it can be decoded.
    """
    import av

    try:
        return _take(source, folder, options, report)
    except av.FFmpegError as error:
        raise _undecodable(source.path, error) from None


def write_every_frame(video: Video, folder: Path) -> Iterator[tuple[str, float]]:
    """Write all frames of a video as ``000000.jpg``, ..., upright and at full size.

    Args:
        video: the video.
        folder: created if it does not exist.

    Yields:
        (file name, seconds since the first frame), each once it is written.

    Raises:
        CaptureError: nothing in it can be decoded.
    """
    import av

    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    try:
        for time_s, picture in video.timed_pictures(max(video.size_px)):
            name = f"{count:06d}.jpg"
            save_picture(picture, folder / name)
            count += 1
            yield name, round(time_s, 6)
    except av.FFmpegError as error:
        raise _undecodable(video.path, error) from None
    if not count:
        raise _empty(video.path)


def _undecodable(path: Path, error: Exception) -> CaptureError:
    reason = " ".join(str(getattr(error, "strerror", None) or error).split()).lower()
    return CaptureError(f"{path} cannot be decoded ({reason}); convert it to H.264 in .mp4")


def _empty(path: Path) -> CaptureError:
    return CaptureError(f"{path}: none of its frames can be decoded; copy it again from the camera")


def _take(
    source: Source, folder: Path, options: FrameOptions, report: Progress
) -> tuple[list[Picture], list[Dropped]]:
    video = open_video(source.path)
    if video is None:
        raise CaptureError(f"{source.path} is not a video any more; it changed while it was read")
    measured, stamps = measure(video, report)
    if not len(measured.times_s):
        raise _empty(source.path)
    choice = choose(measured, options)
    _warn(source.path, measured, choice)
    pictures = []
    (folder / source.group).mkdir(parents=True, exist_ok=True)
    longest = options.max_side_px or LONGEST_FRAME_SIDE_PX
    for index, pixels in video.pictures(choice.kept.tolist(), stamps, longest):
        pictures.append(_picture(source, measured, index, (pixels.shape[1], pixels.shape[0])))
        save_picture(pixels, folder / pictures[-1].name)
        report(f"keeping frames of {video.path.name}", len(pictures), len(choice.kept))
    dropped = [
        Dropped(str(source.path), _name(source.group, index), _reason(source.group, reason))
        for index, reason in choice.reasons.items()
    ]
    return pictures, dropped


def measure(video: Video, report: Progress) -> tuple[FrameMeasures, Stamps]:
    """Decode a video once, at reduced size in grey, and measure each frame."""
    path = MotionPath()
    pts: list[int | None] = []
    keys: list[int] = []
    rows: list[tuple[float, float, float, float, float]] = []
    for frame in video.frames():
        luma = frame.luma
        if frame.is_key:
            keys.append(len(pts))
        pts.append(frame.pts)
        rows.append((frame.time_s, path.add(luma), sharpness(luma), brightness(luma), contrast(luma)))
        total = video.num_frames if len(pts) <= video.num_frames else 0
        report(f"reading {video.path.name}", len(pts), total)
    return FrameMeasures(*np.array(rows, np.float64).reshape(-1, 5).T), Stamps(pts, keys)


def _picture(source: Source, measured: FrameMeasures, index: int, size_px: tuple[int, int]) -> Picture:
    return Picture(
        name=_name(source.group, index),
        source=str(source.path),
        camera=f"video {source.group}",
        size_px=size_px,
        focal_px=None,
        sequence=source.group,
        time_s=round(float(measured.times_s[index]), 6),
        sharpness=float(measured.sharpness[index]),
        brightness=float(measured.brightness[index]),
        gravity=None,
    )


def _warn(path: Path, measured: FrameMeasures, choice: FrameChoice) -> None:
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
