"""Videos: metadata, small grey frames, and full-size upright frames."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import CaptureError
from sfumato.footage.measure import LUMA_SIDE_PX
from sfumato.footage.orientation import AREA, EXACT, FULL_RANGE, fitting, odd_colours, pixel_range, upright

_log = logging.getLogger(__name__)

MAX_PIXELS = 200_000_000
"""The largest picture that is decoded."""

# Containers of a video. Playlists and lists of files are excluded, as they may name other files or addresses.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,"
    "h264,hevc,av1,obu,ivf,m4v,mxf,nut,mjpeg,rm,dv,y4m,yuv4mpegpipe"
)
_OPEN = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}

_FAR = 15
"""Number of frames beyond which seeking to a key frame is faster than decoding on."""


@dataclass(frozen=True)
class VideoFrame:
    """One decoded frame, small and grey.

    Attributes:
        pts: its time stamp, in units of the stream; None if it has none.
        time_s: seconds since the first frame; never decreases.
        is_key: whether decoding can start here.
        luma: uint8 [h, w], longest side at most ``LUMA_SIDE_PX``, not rotated.
    """

    pts: int | None
    time_s: float
    is_key: bool
    luma: NDArray[np.uint8]


@dataclass(frozen=True)
class Video:
    """A video file.

    Attributes:
        path: the file.
        size_px: (width, height) of its frames as stored.
        num_frames: number of frames that it declares; 0 if it does not.
        has_index: whether it has an index of its key frames, so that decoding can start at any of them.
    """

    path: Path
    size_px: tuple[int, int]
    num_frames: int
    has_index: bool

    def frames(self) -> Iterator[VideoFrame]:
        """Every frame that can be decoded, in order of display.

        Broken frames are skipped with a warning.
        """
        from av.video.reformatter import VideoReformatter

        reformatter = VideoReformatter()
        size = fitting(self.size_px, LUMA_SIDE_PX)
        index = -1
        with opened(self.path) as (container, stream):
            for index, (frame, time_s) in enumerate(_timed(container, stream, self)):
                grey = reformatter.reformat(
                    frame, *size, "gray", src_color_range=pixel_range(frame), dst_color_range=FULL_RANGE,
                    interpolation=AREA | EXACT,
                )  # fmt: skip
                if index == 0:
                    self._warn_of(frame, stream)
                luma = np.asarray(grey.to_ndarray(), np.uint8)
                yield VideoFrame(frame.pts, time_s, bool(frame.key_frame), luma)
        self._warn_of_missing(index + 1)

    def timed_pictures(self, max_side_px: int) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Every frame that can be decoded, in colour and upright, in order of display.

        Broken frames are skipped with a warning.

        Args:
            max_side_px: longest side; larger frames are downscaled by area average.

        Yields:
            (seconds since the first frame, which never decrease; uint8 [h, w, 3] sRGB).
        """
        index = -1
        with opened(self.path) as (container, stream):
            for index, (frame, time_s) in enumerate(_timed(container, stream, self)):
                if index == 0:
                    self._warn_of(frame, stream)
                yield time_s, upright(frame, stream, max_side_px)
        self._warn_of_missing(index + 1)

    def _warn_of_missing(self, count: int) -> None:
        if 0 < count < 0.9 * self.num_frames:
            _log.warning(
                "%s: only %d of its %d frames can be decoded; using those", self.path, count, self.num_frames
            )

    def _warn_of(self, frame: Any, stream: Any) -> None:
        """Warn of properties that make the pictures look wrong."""
        if frame.interlaced_frame:
            _log.warning(
                "%s is interlaced: edges are combed where it moves; film it progressively", self.path
            )
        reason = odd_colours(frame, stream)
        if reason:
            _log.warning(
                "%s: %s; colours will be wrong: export it as ordinary (SDR) video", self.path, reason
            )

    def pictures(
        self, indices: Sequence[int], stamps: Stamps, max_side_px: int
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Chosen frames in colour and upright.

        Args:
            indices: positions in ``frames``, ascending.
            stamps: of all frames.
            max_side_px: longest side; larger frames are downscaled by area average.

        Yields:
            (index, uint8 [h, w, 3] sRGB); fewer than requested only if the file has changed.
        """
        done = 0
        if self.has_index and stamps.ascend:
            for found in self._from_key_frames(indices, stamps, max_side_px):
                yield found
                done += 1
        wanted = set(indices[done:])
        if not wanted:
            return
        with opened(self.path) as (container, stream):
            for index, frame in enumerate(_decoded(container, stream, self)):
                if index in wanted:
                    yield index, upright(frame, stream, max_side_px)
                if index >= max(wanted):
                    return

    def _from_key_frames(
        self, indices: Sequence[int], stamps: Stamps, max_side_px: int
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """The same, seeking to key frames; ends if a frame is not found by its time stamp."""
        with opened(self.path) as (container, stream):
            frames = _decoded(container, stream, self)
            next_index = 0
            for index in indices:
                key = stamps.key_before(index)
                if key > next_index + _FAR:
                    container.seek(stamps.pts[key], stream=stream)
                    frames = _decoded(container, stream, self)
                next_index = index + 1
                frame = next((f for f in frames if f.pts is None or f.pts >= stamps.pts[index]), None)
                if frame is None or frame.pts != stamps.pts[index]:
                    return
                yield index, upright(frame, stream, max_side_px)


@dataclass(frozen=True)
class Stamps:
    """Time stamps and key frames of a video.

    Attributes:
        pts: [n] time stamp of each frame, or None.
        keys: indices of the key frames, ascending.
    """

    pts: Sequence[Any]
    keys: Sequence[int]

    @property
    def ascend(self) -> bool:
        """Whether each frame is identified by its time stamp."""
        return None not in self.pts and all(a < b for a, b in pairwise(self.pts))

    def key_before(self, index: int) -> int:
        """The last key frame at or before a frame; 0 if there is none."""
        at = bisect_right(self.keys, index)
        return self.keys[at - 1] if at else 0


def open_video(path: Path) -> Video | None:
    """The video in a file.

    Returns:
        None if the file's content is not a video.

    Raises:
        CaptureError: it is a video file, but without pictures or with too large ones.
    """
    import av

    try:
        with opened(path) as (container, stream):
            if stream is None:
                raise CaptureError(f"{path} holds no pictures, only sound or data; give a video")
            size = (stream.codec_context.width, stream.codec_context.height)
            frames = int(stream.frames or 0)
            has_index = container.format.name.startswith(("mov", "matroska"))
    except av.FFmpegError:
        return None
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise CaptureError(
            f"{path}: its frames are {size[0]}x{size[1]} pixels; give a video of at most "
            f"{MAX_PIXELS // 1_000_000} million pixels a frame"
        )
    return Video(path, size, frames, has_index)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container of a file and its best video stream, or None, ready to decode."""
    import av

    with av.open(str(path), options=_OPEN, metadata_errors="replace") as container:
        streams = [s for s in container.streams.video if s.codec_context is not None]
        # Cover art counts as a stream too.
        streams.sort(key=lambda s: -s.codec_context.width * s.codec_context.height * (s.frames != 1))
        stream = streams[0] if streams else None
        if stream is not None:
            stream.thread_type = "AUTO"
        yield container, stream


def _timed(container: Any, stream: Any, video: Video) -> Iterator[tuple[Any, float]]:
    """Frames with their seconds since the first one, which never decrease."""
    start: float | None = None
    time_s = -1.0
    for index, frame in enumerate(_decoded(container, stream, video)):
        stamp = frame.time if frame.pts is not None else None
        start = stamp if start is None else start
        at = stamp - (start or 0.0) if stamp is not None else index / float(stream.average_rate or 30)
        time_s = max(at, time_s)
        yield frame, time_s


def _decoded(container: Any, stream: Any, video: Video) -> Iterator[Any]:
    """Intact frames of the video's size, as far as they can be read."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            return
        except av.InvalidDataError:
            # One broken packet; the decoder continues with the next.
            continue
        except av.FFmpegError:
            return
        for frame in frames:
            if (frame.width, frame.height) == video.size_px and not frame.is_corrupt:
                yield frame
