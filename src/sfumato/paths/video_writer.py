"""Frames to a video that every player shows: H.264, yuv420p, in an mp4."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from sfumato.errors import SfumatoError
from sfumato.outputs import replacing

_CODEC = "libx264"
# Visually lossless for pictures without film grain.
_QUALITY = "18"


def even(size_px: tuple[int, int]) -> tuple[int, int]:
    """The size with both sides rounded up to even numbers, as yuv420p needs them."""
    return size_px[0] + size_px[0] % 2, size_px[1] + size_px[1] % 2


def write_video(path: Path, frames: Iterable[np.ndarray], size_px: tuple[int, int], fps: float) -> None:
    """Encode a video, complete or not at all.

    Args:
        path: an .mp4 file.
        frames: uint8 [h, w, 3] sRGB, one after the other.
        size_px: (width, height) of every frame, even.
        fps: frames a second.

    Raises:
        SfumatoError: the encoder is missing or failed, or the file cannot be written.
    """
    import av
    from av.video.reformatter import ColorRange, Colorspace

    rate = Fraction(fps).limit_denominator(1001)
    with replacing(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container:
                stream = container.add_stream(_CODEC, rate=rate, options={"crf": _QUALITY})
                stream.width, stream.height = size_px
                stream.pix_fmt = "yuv420p"
                context = stream.codec_context
                # Said in the file, so that no player has to guess by the size of the picture.
                context.color_range = ColorRange.MPEG
                context.colorspace = Colorspace.ITU709
                context.color_primaries, context.color_trc = 1, 1
                for index, pixels in enumerate(frames):
                    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                        format="yuv420p",
                        src_color_range=ColorRange.JPEG,
                        dst_color_range=ColorRange.MPEG,
                        dst_colorspace=Colorspace.ITU709,
                    )
                    frame.pts, frame.time_base = index, 1 / rate
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
        except av.FFmpegError as error:
            raise SfumatoError(
                f"cannot encode {path}: {error.strerror or error}; give a folder with --out to get PNG frames"
            ) from error
