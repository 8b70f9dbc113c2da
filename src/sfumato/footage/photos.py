"""Photographs: decoding, metadata, and saving upright into the picture folder."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sfumato.capture import images
from sfumato.capture.resample import area_average
from sfumato.errors import CaptureError
from sfumato.extras import extra_module
from sfumato.footage import exif, hdr
from sfumato.footage.kinds import Kind
from sfumato.footage.measure import LUMA_SIDE_PX, brightness, sharpness
from sfumato.footage.video import MAX_PIXELS

THUMBNAIL_PX = 128

_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)
_PNG_BIT_DEPTH_AT = 24
_QUALITY = 97
# Module and extra that read a kind of photographs.
_READERS = {Kind.HEIC: ("pillow_heif", "heic"), Kind.RAW: ("rawpy", "raw")}


@dataclass(frozen=True)
class Photo:
    """Measures and metadata of a photograph.

    Attributes:
        path: the file.
        kind: how it is opened.
        size_px: (width, height), upright.
        as_it_is: whether it is an upright JPEG or PNG of 8 bits, which can be copied.
        suffix: of its format, if it is copied.
        camera: make, model, lens and focal length; None if not recorded.
        focal_px: at ``size_px``; None if not recorded.
        place: latitude and longitude in degrees, height in metres or None; None if not recorded.
        gravity: unit vector downwards in the camera's axes; None if not recorded.
        sharpness: of the picture reduced to ``LUMA_SIDE_PX``.
        brightness: mean luma in [0, 1].
        digest: of the file's bytes.
        thumbnail: uint8 [THUMBNAIL_PX, THUMBNAIL_PX] luma of the picture, stretched to a square.
    """

    path: Path
    kind: Kind
    size_px: tuple[int, int]
    as_it_is: bool
    suffix: str
    camera: str | None
    focal_px: float | None
    place: tuple[float, float, float | None] | None
    gravity: tuple[float, float, float] | None
    sharpness: float
    brightness: float
    digest: bytes
    thumbnail: NDArray[np.uint8]


def examine(path: Path, kind: Kind) -> Photo:
    """Decode a photograph completely, and measure it.

    Raises:
        CaptureError: it is broken or too large, or needs a package that is not installed.
    """
    if kind is Kind.PICTURE:
        images.read_header(path)
    try:
        with _opened(path, kind) as image:
            _check_size(image.size)
            stored, form, mode = image.size, image.format, image.mode
            orientation = _orientation(image)
            found = exif.tags_of_tiff(path) if kind is Kind.RAW else exif.tags(image.getexif())
            gravity = exif.gravity(image.info.get("xmp")) if orientation == 1 else None
            image.draft("L", (LUMA_SIDE_PX, LUMA_SIDE_PX))
            luma = _turned(_luma(image), orientation)
    except CaptureError:
        raise
    except Exception as error:
        # Decoders raise many kinds of errors on broken files.
        raise _broken(path, error) from None
    focal_px = exif.focal_length_px(found, stored)
    return Photo(
        path=path,
        kind=kind,
        size_px=stored[::-1] if orientation in _QUARTER_TURNS else stored,
        as_it_is=kind is Kind.PICTURE and orientation == 1 and _is_plain(path, form, mode),
        suffix=".png" if form == "PNG" else ".jpg",
        camera=exif.camera_name(found),
        focal_px=focal_px,
        place=exif.place(found),
        gravity=gravity,
        sharpness=sharpness(np.asarray(_within(luma, LUMA_SIDE_PX))),
        brightness=brightness(np.asarray(luma)),
        digest=_digest(path),
        thumbnail=np.asarray(luma.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)),
    )


def place(photo: Photo, target: Path, max_side_px: int) -> Path:
    """Place a photograph in the picture folder, by copy or link where it needs no change.

    Args:
        photo: as examined.
        target: the path, without suffix; missing folders are created.
        max_side_px: longest side; larger pictures are downscaled by area average.

    Returns:
        The path with the suffix of the format written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if photo.as_it_is and max(photo.size_px) <= max_side_px:
        linked = target.with_name(target.name + photo.suffix)
        _link(photo.path, linked)
        return linked
    try:
        pixels, profile = _pixels(photo)
    except CaptureError:
        raise
    except Exception as error:
        raise _broken(photo.path, error) from None
    pixels = _shrunk(pixels, max_side_px)
    has_alpha = pixels.shape[2] == 4 and bool((pixels[..., 3] < 255).any())
    written = target.with_name(target.name + (".png" if has_alpha else ".jpg"))
    save_picture(pixels if has_alpha else pixels[..., :3], written, profile=profile)
    return written


def save_picture(pixels: NDArray[np.uint8], path: Path, *, profile: bytes | None = None) -> None:
    """Write uint8 [h, w, 3 or 4] as PNG or as JPEG without chroma subsampling, by the path's suffix."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if path.suffix == ".png":
        image.save(path, icc_profile=profile)
    else:
        image.save(path, "JPEG", quality=_QUALITY, subsampling=0, icc_profile=profile)


def shrunk_size(size_px: tuple[int, int], max_side_px: int) -> tuple[int, int]:
    """(width, height) with no side above ``max_side_px``, of the same aspect ratio up to a pixel."""
    scale = min(1.0, max_side_px / max(size_px))
    return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))


def _shrunk(pixels: NDArray[np.uint8], max_side_px: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    size = shrunk_size((width, height), max_side_px)
    common = math.gcd(width, height)
    whole = [k for k in range(2, width // size[0] + 1) if common % k == 0]
    if whole:
        # By an integer factor first, which takes a fraction of the memory.
        pixels = area_average(pixels, (width // whole[-1], height // whole[-1]))
    return area_average(pixels, size)


def _opened(path: Path, kind: Kind) -> Image.Image:
    if kind is Kind.HEIC:
        return _heic(path)
    if kind is Kind.RAW:
        return Image.fromarray(_developed(path))
    return Image.open(path)


def _heic(path: Path) -> Image.Image:
    """A HEIC file's picture in 8 bits; HDR pictures (PQ or HLG), which some cameras write, in sRGB."""
    heif = extra_module(*_READERS[Kind.HEIC], path, MissingReader)
    container = heif.open_heif(path)
    _check_size(container.size)
    image = container.to_pillow()
    tagged: dict[str, Any] = container.info.get("nclx_profile") or {}
    transfer = hdr.TRANSFERS.get(tagged.get("transfer_characteristics", -1))
    if transfer is None:
        return image
    deep = np.asarray(heif.open_heif(path, convert_hdr_to_8bit=False))[..., :3]
    deep = deep if deep.dtype == np.uint16 else deep.astype(np.uint16) * 257
    shown = Image.fromarray(hdr.to_srgb(deep, transfer))
    shown.info = {key: value for key, value in image.info.items() if key != "icc_profile"}
    return shown


def _developed(path: Path) -> NDArray[np.uint8]:
    """[h, w, 3] of a RAW file: upright, with the camera's white balance, without auto-brightening."""
    rawpy = extra_module(*_READERS[Kind.RAW], path, MissingReader)
    with rawpy.imread(str(path)) as raw:
        _check_size((raw.sizes.width, raw.sizes.height))
        # Auto-brightening would give one surface different colours in different pictures.
        return raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=8)


def check_reader(path: Path, kind: Kind) -> None:
    """Check that the package that reads a kind of photographs is installed.

    Args:
        path: a photograph of that kind, for the message.
        kind: its kind.

    Raises:
        MissingReader: it is not installed.
    """
    if kind in _READERS:
        module, extra = _READERS[kind]
        extra_module(module, extra, path, MissingReader)


class MissingReader(CaptureError):
    """A picture needs an optional package."""


def _pixels(photo: Photo) -> tuple[NDArray[np.uint8], bytes | None]:
    if photo.kind is Kind.RAW:
        return _developed(photo.path), None
    with _opened(photo.path, photo.kind) as image:
        profile = image.info.get("icc_profile")
        if photo.kind is Kind.PICTURE:
            return images.decode(photo.path, turn=True), profile
        mode = "RGBA" if image.mode in ("RGBA", "LA", "RGBa") else "RGB"
        return np.asarray(_turned(image.convert(mode), _orientation(image))), profile


def _check_size(size_px: tuple[int, int]) -> None:
    if size_px[0] * size_px[1] > MAX_PIXELS:
        raise ValueError(
            f"it is {size_px[0]}x{size_px[1]}, more than {MAX_PIXELS // 1_000_000} million pixels"
        )


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _luma(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image.load()
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("L")


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    image.getexif()[_ORIENTATION] = orientation
    return ImageOps.exif_transpose(image)


def _within(image: Image.Image, side_px: int) -> Image.Image:
    return image.resize(shrunk_size(image.size, side_px), Image.Resampling.BOX)


def _is_plain(path: Path, form: str | None, mode: str) -> bool:
    if form in ("JPEG", "MPO"):
        return mode in ("L", "RGB")
    if form != "PNG" or mode not in ("L", "RGB", "RGBA"):
        return False
    with path.open("rb") as file:
        return file.read(_PNG_BIT_DEPTH_AT + 1)[_PNG_BIT_DEPTH_AT] == 8


def _link(source: Path, target: Path) -> None:
    with suppress(OSError):
        os.link(source.resolve(), target)
        return
    with suppress(OSError, NotImplementedError):
        target.symlink_to(source.resolve())
        return
    shutil.copyfile(source, target)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        summed = hashlib.sha256()
        while block := file.read(1 << 20):
            summed.update(block)
    return summed.digest()


def _broken(path: Path, error: Exception) -> CaptureError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return CaptureError(f"{path} cannot be read as a picture ({reason}); replace it or leave it out")
