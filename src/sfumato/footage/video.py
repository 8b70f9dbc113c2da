"""Videos: what they say about themselves, their frames in small and grey, and at full size upright."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.capture.resample import area_average
from sfumato.errors import CaptureError
from sfumato.footage.hdr import BT2020_SDR, HLG, PQ, to_srgb
from sfumato.footage.measure import LUMA_SIDE_PX

_log = logging.getLogger(__name__)

MAX_PIXELS = 200_000_000
"""The largest picture that is decoded."""

# Containers of one stream of pictures. Playlists and lists of files, which may name other files or
# addresses, are not among them.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,"
    "h264,hevc,av1,obu,ivf,m4v,mxf,nut,mjpeg,rm,dv,y4m,yuv4mpegpipe"
)
_OPEN = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}

_PQ_TAG, _HLG_TAG, _BT2020_PRIMARIES = 16, 18, 9
_UNSPECIFIED = 2
# AVCOL_SPC_* of a frame -> the matrix that swscale is told (SWS_CS_*).
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_ITU709, _ITU601 = 1, 5
_LIMITED, _FULL = 1, 2
_AREA, _FULL_CHROMA, _EXACT = 0x20, 0x2000 | 0x4000, 0x40000 | 0x80000


@dataclass(frozen=True)
class Frame:
    """One decoded frame, small and grey.

    Attributes:
        pts: its time stamp, in units of the stream; None if it has none.
        time_s: seconds since the first frame.
        is_key: decoding can start here.
        luma: uint8 [h, w], longest side at most ``LUMA_SIDE_PX``, not turned.
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
        num_frames: how many it says it has; 0: it does not say.
    """

    path: Path
    size_px: tuple[int, int]
    num_frames: int

    def frames(self) -> Iterator[Frame]:
        """Every frame that can be decoded, in order of display.

        What is broken is no error: a warning says so, and the other frames count.
        """
        from av.video.reformatter import VideoReformatter

        reformatter = VideoReformatter()
        size = _fitting(self.size_px, LUMA_SIDE_PX)
        start: float | None = None
        index = 0
        with opened(self.path) as (container, stream):
            for frame in _decoded(container, stream, self):
                time_s = frame.time if frame.time is not None else index / float(stream.average_rate or 30)
                start = time_s if start is None else start
                grey = reformatter.reformat(
                    frame, *size, "gray", src_color_range=_range(frame), dst_color_range=_FULL,
                    interpolation=_AREA | _EXACT,
                )  # fmt: skip
                if index == 0 and frame.interlaced_frame:
                    _log.warning(
                        "%s is interlaced: edges are combed where it moves; film it progressively", self.path
                    )
                index += 1
                yield Frame(frame.pts, time_s - start, bool(frame.key_frame), grey.to_ndarray())
        if 0 < index < 0.9 * self.num_frames:
            _log.warning(
                "%s: only %d of its %d frames can be decoded; using those", self.path, index, self.num_frames
            )

    def pictures(self, indices: Sequence[int], max_side_px: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Chosen frames in colour and upright.

        Args:
            indices: positions in ``frames``, ascending.
            max_side_px: longest side; larger frames are made smaller by area average.

        Yields:
            (index, uint8 [h, w, 3] sRGB); fewer than asked for only if the file changed meanwhile.
        """
        wanted = set(indices)
        if not wanted:
            return
        last = max(wanted)
        with opened(self.path) as (container, stream):
            for index, frame in enumerate(_decoded(container, stream, self)):
                if index in wanted:
                    yield index, upright(frame, stream, max_side_px)
                if index >= last:
                    return


def open_video(path: Path) -> Video | None:
    """The video in a file.

    Returns:
        None if the file is no video at all, judging by what is in it.

    Raises:
        CaptureError: it is a video file, but without pictures or with pictures that are too large.
    """
    import av

    try:
        with opened(path) as (_, stream):
            if stream is None:
                raise CaptureError(f"{path} holds no pictures, only sound or data; give a video")
            size = (stream.codec_context.width, stream.codec_context.height)
            frames = int(stream.frames or 0)
    except av.FFmpegError:
        return None
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise CaptureError(
            f"{path}: its frames are {size[0]}x{size[1]} pixels; give a video of at most "
            f"{MAX_PIXELS // 1_000_000} million pixels a frame"
        )
    return Video(path, size, frames)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container of a file and its best video stream, or None, ready to decode."""
    import av

    with av.open(str(path), options=_OPEN, metadata_errors="replace") as container:
        streams = [s for s in container.streams.video if s.codec_context is not None]
        # Cover pictures are streams too.
        streams.sort(key=lambda s: -s.codec_context.width * s.codec_context.height * (s.frames != 1))
        stream = streams[0] if streams else None
        if stream is not None:
            stream.thread_type = "AUTO"
        yield container, stream


def _decoded(container: Any, stream: Any, video: Video) -> Iterator[Any]:
    """Whole frames of the video's size, to the end of what can be read."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            return
        except av.InvalidDataError:
            # One broken packet; the decoder goes on at the next.
            continue
        except av.FFmpegError:
            return
        for frame in frames:
            if (frame.width, frame.height) == video.size_px and not frame.is_corrupt:
                yield frame


def upright(frame: Any, stream: Any, max_side_px: int) -> NDArray[np.uint8]:
    """A decoded frame as uint8 [h, w, 3] sRGB: turned as its side data asks, with square pixels."""
    transfer = _transfer(frame, stream)
    converted = frame.reformat(
        format="rgb48le" if transfer else "rgb24",
        src_colorspace=_matrix(frame),
        src_color_range=_range(frame),
        dst_color_range=_FULL,
        interpolation=_AREA | _FULL_CHROMA | _EXACT,
    )
    picture = converted.to_ndarray()
    if transfer:
        picture = to_srgb(picture, transfer)
    height, width = picture.shape[:2]
    size = _fitting(_square(width, height, stream), max_side_px)
    return np.ascontiguousarray(turned(area_average(picture, size), display_matrix(frame)))


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the frame's display matrix, x' = a x + c y and y' = b x + d y; (1, 0, 0, 1) if none."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except (KeyError, ValueError):
        # Side data of a kind that this version of PyAV has no name for hides the rest.
        quarter = round(frame.rotation / 90.0) % 4
        return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarter]
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), "<i4")[:5].tolist()
    return a, b, c, d


def turned(picture: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A picture [h, w, d] turned and mirrored by the nearest of the eight ways to lay it down."""
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        flip_x, flip_y = a < 0, d < 0
    else:
        picture = picture.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    return picture[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _fitting(size_px: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size of the same shape with no side longer than ``longest``."""
    scale = min(1.0, longest / max(size_px))
    return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))


def _square(width: int, height: int, stream: Any) -> tuple[int, int]:
    """The size at which pixels are square, making the picture smaller and not larger."""
    ratio = float(stream.sample_aspect_ratio or 1)
    if not 0.1 < ratio < 10.0:
        return width, height
    if ratio > 1.0:
        return width, max(1, round(height / ratio))
    return max(1, round(width * ratio)), height


def _transfer(frame: Any, stream: Any) -> str | None:
    """What must be undone to get sRGB; None for ordinary video."""
    tag = int(getattr(frame, "color_trc", _UNSPECIFIED))
    tag = int(stream.codec_context.color_trc) if tag == _UNSPECIFIED else tag
    if tag in (_PQ_TAG, _HLG_TAG):
        return PQ if tag == _PQ_TAG else HLG
    primaries = int(getattr(frame, "color_primaries", _UNSPECIFIED))
    primaries = int(stream.codec_context.color_primaries) if primaries == _UNSPECIFIED else primaries
    return BT2020_SDR if primaries == _BT2020_PRIMARIES else None


def _matrix(frame: Any) -> int:
    # Without a tag, players take the matrix of standard definition for small pictures only.
    untagged = _ITU601 if frame.height < 720 and frame.width < 1280 else _ITU709
    return _MATRICES.get(int(frame.colorspace), untagged)


def _range(frame: Any) -> int:
    is_full = int(frame.color_range) == _FULL or frame.format.name.startswith(
        ("yuvj", "rgb", "gbr", "bgr", "pal")
    )
    return _FULL if is_full else _LIMITED
