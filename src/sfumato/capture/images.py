"""Picture files: their headers, and their pixels as arrays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sfumato.capture.strips import whole
from sfumato.errors import CaptureError

# Ordinary photographs reach the size that Pillow warns of; twice as much is refused.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_ORIENTATION_TAG = 0x0112
_TRANSPOSES = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = (5, 6, 7, 8)
# EXIF orientations whose first row is stored as the last row or column.
_FROM_THE_END = (3, 4, 7, 8)
_EIGHT_BIT_MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
)


@dataclass(frozen=True)
class ImageHeader:
    """Properties of a picture file, read without decoding it.

    Attributes:
        size_px: (width, height) as stored.
        is_turned: whether its EXIF orientation includes a quarter turn.
        has_alpha: whether it has an alpha channel or a transparent palette entry.
    """

    size_px: tuple[int, int]
    is_turned: bool
    has_alpha: bool


def read_header(path: Path) -> ImageHeader:
    """The header of a picture file, without decoding it.

    Raises:
        CaptureError: it is missing, not a picture, or does not have 8 or 16 bits per channel.
    """
    try:
        with Image.open(path) as image:
            _check_mode(image.mode, path)
            return ImageHeader(image.size, _orientation(image) in _QUARTER_TURNS, _has_alpha(image))
    except CaptureError:
        raise
    except Exception as error:
        raise _broken(path, error) from None


class DecodedPicture:
    """The pixels of a picture file, returned in strips of rows with 8 bits, optionally upright.

    Only Pillow's copy of the whole picture is in memory, with four bytes per pixel if it has colours.
    """

    def __init__(self, image: Image.Image, *, has_alpha: bool, orientation: int = 1) -> None:
        """
        Args:
            image: decoded.
            has_alpha: return four channels.
            orientation: EXIF orientation to apply.
        """
        self._image, self._mode = image, "RGBA" if has_alpha else "RGB"
        self._orientation = orientation if orientation in _TRANSPOSES else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        width, height = self._image.size
        sides = (width, height) if self._orientation in _QUARTER_TURNS else (height, width)
        return (*sides, len(self._mode))

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """uint8 [bottom - top, width, 3], or 4 with straight (not premultiplied) alpha."""
        width, height = self._image.size
        turned = self._orientation in _QUARTER_TURNS
        last = width if turned else height
        if self._orientation in _FROM_THE_END:
            top, bottom = last - bottom, last - top
        strip = self._image.crop((top, 0, bottom, height) if turned else (0, top, width, bottom))
        turn = _TRANSPOSES[self._orientation]
        strip = strip if turn is None else strip.transpose(turn)
        return np.asarray(strip.convert(self._mode))


def open_picture(path: Path, *, turn: bool) -> DecodedPicture:
    """Decode a picture file.

    Args:
        path: the file.
        turn: whether to apply its EXIF orientation.

    Raises:
        CaptureError: it cannot be decoded completely.
    """
    try:
        with Image.open(path) as image:
            _check_mode(image.mode, path)
            has_alpha = _has_alpha(image)
            orientation = _orientation(image) if turn else 1
            image.load()
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            return DecodedPicture(image, has_alpha=has_alpha, orientation=orientation)
    except CaptureError:
        raise
    except Exception as error:
        raise _broken(path, error) from None


def decode(path: Path, *, turn: bool) -> np.ndarray:
    """The pixels of a picture file, all at once.

    Args:
        path: the file.
        turn: whether to apply its EXIF orientation.

    Returns:
        uint8 [h, w, 3], or [h, w, 4] with straight (not premultiplied) alpha.

    Raises:
        CaptureError: it cannot be decoded completely.
    """
    return whole(open_picture(path, turn=turn))


def decode_mask(path: Path, *, turn: bool) -> np.ndarray:
    """A mask file as uint8 [h, w]: 255 to keep, 0 to ignore.

    Exactly zero means ignore; in a lossy JPEG, everything below one half does.

    Args:
        path: the file; for a colour picture, the brightest channel counts.
        turn: whether to apply its own EXIF orientation.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image) if turn else image
            lossy = image.format in ("JPEG", "MPO")
            if upright.mode in ("RGBA", "P", "PA", "CMYK", "RGBa"):
                upright = upright.convert("RGB")
            elif upright.mode in ("LA", "La"):
                upright = upright.convert("L")
            values = np.asarray(upright)
    except Exception as error:
        raise _broken(path, error) from None
    values = values.max(axis=2) if values.ndim == 3 else values
    return np.where(values >= 128 if lossy else values > 0, 255, 0).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    # For a PNG without an EXIF chunk before the pixels, Pillow would decode all of it to find one after them.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return image.getexif().get(_ORIENTATION_TAG, 1)


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _check_mode(mode: str, path: Path) -> None:
    if mode not in _EIGHT_BIT_MODES and not mode.startswith("I;16"):
        raise CaptureError(f"{path} has pixels of kind {mode!r}; convert it to 8-bit RGB")


def _broken(path: Path, error: Exception) -> CaptureError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        reason = "the file does not exist"
    elif isinstance(error, UnidentifiedImageError):
        reason = "it is not a picture in a known format"
    elif isinstance(error, Image.DecompressionBombError):
        reason = "it has more pixels than can be trusted; scale it down"
    return CaptureError(
        f"{path} cannot be read as a picture ({reason}); replace it or remove it from the dataset"
    )
