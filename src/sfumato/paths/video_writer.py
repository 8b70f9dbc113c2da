"""Frames to a widely playable video: H.264, yuv420p, in an mp4."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from torch import Tensor

from sfumato.errors import ConfigError, SfumatoError, ShapeError
from sfumato.outputs import replacing
from sfumato.render.eight_bit import pixels_of
from sfumato.render.output import Render

_CODEC = "libx264"
# Visually lossless for pictures without film grain.
_QUALITY = "18"


def even(size_px: tuple[int, int]) -> tuple[int, int]:
    """The size with both sides rounded up to even numbers, as yuv420p needs them."""
    return size_px[0] + size_px[0] % 2, size_px[1] + size_px[1] % 2


def write_video(path: str | Path, frames: Iterable[Render | Tensor | np.ndarray], fps: float = 30.0) -> None:
    """Encode a video; on an error no file is written.

    Args:
        path: an .mp4 file.
        frames: one after the other and all of one size: a Render, or [h, w, 3] sRGB, a tensor of values in
            [0, 1] or uint8. Odd sides are extended by a pixel, as yuv420p needs even ones.
        fps: frames per second.

    Raises:
        ConfigError: the path does not end in .mp4, or there are no frames.
        ShapeError: a frame is not an image, or not of the size of the first.
        SfumatoError: the encoder is missing or failed, or the file cannot be written.
    """
    import av
    from av.video.reformatter import ColorRange, Colorspace

    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise ConfigError(f"{path}: a video is written as .mp4")
    shown = iter(frames)
    first = next(shown, None)
    if first is None:
        raise ConfigError(f"{path}: a video needs frames; there are none")
    height, width, _ = pixels_of(first).shape
    size_px = even((width, height))
    rate = Fraction(fps).limit_denominator(1001)
    with replacing(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container:
                stream = container.add_stream(_CODEC, rate=rate, options={"crf": _QUALITY})
                stream.width, stream.height = size_px
                stream.pix_fmt = "yuv420p"
                context = stream.codec_context
                # Written to the file, as players otherwise guess the colour space from the size.
                context.color_range = ColorRange.MPEG
                context.colorspace = Colorspace.ITU709
                context.color_primaries, context.color_trc = 1, 1
                for index, image in enumerate(itertools.chain([first], shown)):
                    pixels = _padded(pixels_of(image), (width, height), size_px)
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


def _padded(pixels: np.ndarray, given_px: tuple[int, int], size_px: tuple[int, int]) -> np.ndarray:
    """The frame padded to an even size by repeating its last row and column."""
    height, width, _ = pixels.shape
    if (width, height) != given_px:
        raise ShapeError(
            f"all frames must have the same size: {width}x{height} follows {given_px[0]}x{given_px[1]}"
        )
    if given_px == size_px:
        return pixels
    return np.pad(pixels, ((0, size_px[1] - height), (0, size_px[0] - width), (0, 0)), "edge")
