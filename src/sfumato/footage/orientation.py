"""Decoded frames in display form: upright, with square pixels, in sRGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.capture.resample import area_average
from sfumato.footage.hdr import BT2020_SDR, TRANSFERS, to_srgb

FULL_RANGE = 2
AREA, EXACT = 0x20, 0x40000 | 0x80000
"""Flags of swscale: area average; accurate rounding and bit-exact results on every processor."""

_FULL_CHROMA = 0x2000 | 0x4000
_LIMITED_RANGE = 1
_BT2020_PRIMARIES = 9
_UNSPECIFIED = 2
# AVCOL_SPC_* of a frame -> matrix for swscale (SWS_CS_*); RGB needs none.
_MATRICES = {0: 1, 1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_ITU709, _ITU601, _BT2020 = 1, 5, 9
# Neither Y'CbCr nor RGB: YCgCo, Y'D'zD'x, ICtCp and IPT.
_OTHER_SPACES = (8, 11, 14, 15, 16, 17)
_DOLBY_TAGS = ("dvh1", "dvhe", "dvav", "dva1", "dav1")


def upright(frame: Any, stream: Any, max_side_px: int) -> NDArray[np.uint8]:
    """A decoded frame as uint8 [h, w, 3] sRGB: rotated by its display matrix, with square pixels."""
    transfer = _transfer(frame, stream)
    # swscale's packed 16-bit output with full chroma is wrong for 4:2:0; planar output is right.
    converted = frame.reformat(
        format="gbrp16le" if transfer else "rgb24",
        src_colorspace=_matrix(frame, stream),
        src_color_range=pixel_range(frame),
        dst_color_range=FULL_RANGE,
        interpolation=AREA | _FULL_CHROMA | EXACT,
    )
    picture = converted.to_ndarray()
    if transfer:
        picture = to_srgb(picture, transfer)
    height, width = picture.shape[:2]
    size = fitting(_square(width, height, stream), max_side_px)
    return np.ascontiguousarray(turned(area_average(picture, size), display_matrix(frame)))


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the frame's display matrix, x' = a x + c y and y' = b x + d y; (1, 0, 0, 1) if none."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except (KeyError, ValueError):
        # Fallback: side data of a kind unknown to this version of PyAV makes the rest unreadable.
        quarter = round(frame.rotation / 90.0) % 4
        return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarter]
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), "<i4")[:5].tolist()
    return a, b, c, d


def turned(picture: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """A picture [h, w, d] rotated and mirrored by the nearest of the eight symmetries of the square."""
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        flip_x, flip_y = a < 0, d < 0
    else:
        picture = picture.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    return picture[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def fitting(size_px: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size of the same shape with no side longer than ``longest``."""
    scale = min(1.0, longest / max(size_px))
    return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))


def _square(width: int, height: int, stream: Any) -> tuple[int, int]:
    """The size at which pixels are square, by downscaling one side."""
    ratio = float(stream.sample_aspect_ratio or 1)
    if not 0.1 < ratio < 10.0:
        return width, height
    if ratio > 1.0:
        return width, max(1, round(height / ratio))
    return max(1, round(width * ratio)), height


def odd_colours(frame: Any, stream: Any) -> str | None:
    """The reason why the colours of a frame cannot be converted; None if they can."""
    if _tagged(frame, stream, "colorspace") in _OTHER_SPACES:
        return "its colours are stored in a way that is not read here (such as ICtCp or YCgCo)"
    is_dolby = str(getattr(stream.codec_context, "codec_tag", "")) in _DOLBY_TAGS
    if is_dolby and _tagged(frame, stream, "color_trc") == _UNSPECIFIED:
        return "it is Dolby Vision without an ordinary picture under it (profile 5)"
    return None


def _tagged(frame: Any, stream: Any, name: str) -> int:
    """A colour tag of the frame, or else of its stream."""
    tag = int(getattr(frame, name, _UNSPECIFIED))
    return int(getattr(stream.codec_context, name, _UNSPECIFIED)) if tag == _UNSPECIFIED else tag


def _transfer(frame: Any, stream: Any) -> str | None:
    """The transfer function to undo; None for ordinary video."""
    is_wide = _tagged(frame, stream, "color_primaries") == _BT2020_PRIMARIES
    return TRANSFERS.get(_tagged(frame, stream, "color_trc"), BT2020_SDR if is_wide else None)


def _matrix(frame: Any, stream: Any) -> int:
    # Default without a tag, as in players: for wide gamut the matrix of BT.2020, else that of BT.601 for
    # small pictures and of BT.709 for others.
    untagged = _ITU601 if frame.height < 720 and frame.width < 1280 else _ITU709
    untagged = _BT2020 if _transfer(frame, stream) else untagged
    return _MATRICES.get(_tagged(frame, stream, "colorspace"), untagged)


def pixel_range(frame: Any) -> int:
    """FFmpeg's number of the colour range: 2 for full range, 1 for limited."""
    says_so = int(frame.color_range) == FULL_RANGE
    is_full = says_so or frame.format.name.startswith(("yuvj", "rgb", "gbr", "bgr", "pal"))
    return FULL_RANGE if is_full else _LIMITED_RANGE
