"""Picture files: their headers, and their pixels as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sfumato.errors import CaptureError

_ORIENTATION_TAG = 0x0112
_TURNED = (5, 6, 7, 8)
_EIGHT_BIT_MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
)


@dataclass(frozen=True)
class ImageHeader:
    """What a picture file says about itself before it is decoded.

    Attributes:
        size_px: (width, height) as stored.
        is_turned: EXIF asks viewers to turn it by a quarter.
        has_alpha: it has an alpha channel or a transparent palette entry.
    """

    size_px: tuple[int, int]
    is_turned: bool
    has_alpha: bool


def read_header(path: Path) -> ImageHeader:
    """The header of a picture file, without decoding it.

    Raises:
        CaptureError: it is missing, no picture, or of a kind that is not 8 or 16 bits per channel.
    """
    try:
        with Image.open(path) as image:
            _check_mode(image.mode, path)
            has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
            return ImageHeader(image.size, _orientation(image) in _TURNED, has_alpha)
    except CaptureError:
        raise
    except Exception as error:
        raise _broken(path, error) from None


def decode(path: Path, *, turn: bool) -> np.ndarray:
    """The pixels of a picture file.

    Args:
        path: the file.
        turn: turn and mirror it as its EXIF orientation asks.

    Returns:
        uint8 [h, w, 3], or [h, w, 4] with straight (not premultiplied) alpha.

    Raises:
        CaptureError: it cannot be decoded to its end.
    """
    try:
        with Image.open(path) as image:
            _check_mode(image.mode, path)
            has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
            if image.mode.startswith("I;16"):
                image.load()
                image_8bit = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            else:
                image_8bit = image.convert("RGBA" if has_alpha else "RGB")
            if turn:
                image_8bit.getexif()[_ORIENTATION_TAG] = _orientation(image)
                image_8bit = ImageOps.exif_transpose(image_8bit)
            if image_8bit.mode == "L":
                image_8bit = image_8bit.convert("RGB")
            return np.array(image_8bit)
    except CaptureError:
        raise
    except Exception as error:
        raise _broken(path, error) from None


def decode_mask(path: Path, *, turn: bool) -> np.ndarray:
    """A mask file as uint8 [h, w]: 255 to keep, 0 to ignore.

    Exactly zero is ignored; in a lossy JPEG everything below one half is.

    Args:
        path: the file; of a colour picture the brightest channel counts.
        turn: turn and mirror it as its own EXIF orientation asks.
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
    # Asking a PNG without an EXIF chunk up front would decode it in search of one behind the pixels.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return image.getexif().get(_ORIENTATION_TAG, 1)


def _check_mode(mode: str, path: Path) -> None:
    if mode not in _EIGHT_BIT_MODES and not mode.startswith("I;16"):
        raise CaptureError(f"{path} has pixels of kind {mode!r}; convert it to 8-bit RGB")


def _broken(path: Path, error: Exception) -> CaptureError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        reason = "the file does not exist"
    elif isinstance(error, Image.UnidentifiedImageError):
        reason = "it is no picture in a known format"
    elif isinstance(error, Image.DecompressionBombError):
        reason = "it has more pixels than can be trusted; scale it down"
    return CaptureError(
        f"{path} cannot be read as a picture ({reason}); replace it or remove it from the dataset"
    )
