"""Decoding of one video per camera into folders of frames, once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from sfumato.capture.multiview.frame_folders import TIMES_FILE
from sfumato.capture.natural_order import natural_key
from sfumato.display import Display
from sfumato.errors import CaptureError, ConfigError
from sfumato.footage.kinds import VIDEO_SUFFIXES
from sfumato.footage.video import Video, open_video
from sfumato.footage.video_frames import write_every_frame
from sfumato.json_files import read_json
from sfumato.outputs import write_error, write_json
from sfumato.sfm.stages import fingerprint

_FOLDERS = (".", "videos")
_RECORD = "videos.json"
_MOST_BYTES = 64 << 20


def find_videos(root: Path) -> dict[str, Path]:
    """{camera: video} of the videos in a folder, or its subfolder ``videos``, in natural order of names."""
    for name in _FOLDERS:
        folder = root / name
        inside = folder.iterdir() if folder.is_dir() else ()
        videos = [p for p in inside if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()]
        if videos:
            return {path.stem: path for path in sorted(videos, key=lambda path: natural_key(path.name))}
    return {}


def decode_videos(videos: Mapping[str, Path], folder: Path, display: Display) -> None:
    """Write all frames of some videos as ``CAMERA/FRAME.jpg``, and ``times.json`` last.

    Frames are upright and have the size of the video. Frames of an earlier call are reused if the videos have
    not changed.

    Args:
        videos: by the name of the camera.
        folder: for the frames.
        display: where progress is shown.

    Raises:
        CaptureError: a file is not a video, or cannot be decoded.
        ConfigError: the folder holds something else.
        SfumatoError: the disk is full, or the folder cannot be written.
    """
    made_from = [list(row) for row in fingerprint(videos.values())]
    record, times_file = folder / _RECORD, folder / TIMES_FILE
    if times_file.is_file() and _recorded(record) == made_from:
        return
    if folder.exists() and not record.is_file():
        raise ConfigError(f"{folder} exists and was not made here; give another folder")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(record, made_from)
        with display.counting("decoding videos", "frames") as report:
            opened = {name: _opened(path) for name, path in videos.items()}
            total, done = sum(video.num_frames for video in opened.values()), 0
            times: dict[str, dict[str, float]] = {}
            for name, video in opened.items():
                times[name] = {}
                for frame, time_s in write_every_frame(video, folder / name):
                    # Damaged videos may have several frames with one time; only the first is used.
                    if time_s > max(times[name].values(), default=-1.0):
                        times[name][frame] = time_s
                    done += 1
                    report(done, total)
        write_json(times_file, times)
    except OSError as error:
        raise write_error(folder, error) from error


def _recorded(record: Path) -> object:
    try:
        return read_json(record, _MOST_BYTES)
    except (OSError, ValueError):
        return None


def _opened(path: Path) -> Video:
    video = open_video(path)
    if video is None:
        raise CaptureError(f"{path} is not a video, judging by its content; replace it or remove it")
    return video
