"""Decoding of one `.sog` scene: images and their description to arrays.

Version 2 has codebooks of 256 values. Version 1, without a version in its description, divides ranges into
256 uniform steps, and stores opacities as logits. Pixel i, row by row, is Gaussian i.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files import values
from sfumato.scene.files.generator import source_in
from sfumato.scene.files.sog_images import MAX_SIDE, decode
from sfumato.scene.files.sog_source import Read, shown

ROW_OF_PALETTE = 64
MAX_PALETTE = 65536
COEFFICIENTS = {1: 3, 2: 8, 3: 15, 4: 24}
# Alpha in the image of quaternions: this plus the index of the largest component.
FIRST_TAG = 252
ROOT_TWO = np.float32(math.sqrt(2))

# Largest ratio of decoded to file bytes, decoded bytes of a Gaussian, and number of Gaussians always allowed.
_MAX_RATIO, _PIXEL_BYTES, _FEW = 64, 17, 250_000
# Writers pad the last rows, or both sides to the next power of two.
_PADDING, _PADDING_PIXELS = 4, 65536
_BLOCK = 65536
_log = logging.getLogger(__name__)


class Textures:
    """The images of one scene, decoded on demand.

    Args:
        path: named in errors.
        meta: its description.
        read: reads its parts.
        size_bytes: of all its parts.
    """

    def __init__(self, path: Path, meta: dict[str, Any], read: Read, size_bytes: int) -> None:
        self.path, self._meta, self._read = path, meta, read
        self.version = meta.get("version", 1)
        if self.version not in (1, 2):
            raise FormatError(f"{path} is of version {shown(self.version)} of .sog; known are 1 and 2")
        self.count = self._count(size_bytes)
        self._most_pixels = _PADDING * self.count + _PADDING_PIXELS

    def has(self, key: str) -> bool:
        """Whether the description has a key with a value other than false."""
        return bool(self._meta.get(key))

    @property
    def antialiased(self) -> bool:
        """Whether the scene was made for anti-aliased rendering, by either of two keys."""
        return self.has("antialias") or self._meta.get("model") == "antialiased"

    @property
    def source(self) -> str | None:
        """The program that made the scene, if the description names one."""
        return source_in(self._meta)

    def numbers(self, key: str, name: str, length: int | None) -> np.ndarray:
        """[length] float64 of the description; None is any length up to 256."""
        found = self._part(key).get(name)
        found = found if isinstance(found, list) else [found]
        if name == "codebook" and len(found) > 2 and found[0] is None:
            # An early writer left the first value empty; readers extrapolate it in this way.
            found = [_number(found[1]) + (_number(found[1]) - _number(found[-1])) / 255, *found[1:]]
        numbers = np.array([_number(value) for value in found], np.float64)
        fits = 1 <= len(found) <= 256 if length is None else len(found) == length
        if not fits or not np.isfinite(numbers).all() or np.abs(numbers).max() > 1e9:
            wanted = f"{length or '1 to 256'} plain numbers"
            raise FormatError(f"{self.path} has {key}.{name} that are not {wanted}")
        return numbers

    def integer(self, key: str, name: str, most: int) -> int:
        """A count of the description, 1 to ``most``."""
        return _integer(self._part(key).get(name), most, f"{self.path} has {key}.{name}")

    def pixels(self, key: str, index: int = 0) -> np.ndarray:
        """[n, 4] uint8 pixels of the Gaussians in picture ``index`` of a part."""
        flat = self.picture(key, index, self._most_pixels).reshape(-1, 4)
        if len(flat) < self.count:
            name = self._name(key, index)
            raise FormatError(f"{self.path}: {name} has {len(flat)} pixels for {self.count} Gaussians")
        return flat[: self.count]

    def picture(self, key: str, index: int, most_pixels: int) -> np.ndarray:
        """[h, w, 4] uint8 of picture ``index`` of a part."""
        name = self._name(key, index)
        # Even noise compresses to hardly more than its raw size; the rest is for the container.
        data = self._read(name, 5 * most_pixels + 65536)
        return decode(data, f"{self.path}: {name}", most_pixels)

    def _name(self, key: str, index: int) -> str:
        files = self._part(key).get("files")
        if not isinstance(files, list) or len(files) <= index or not isinstance(files[index], str):
            raise FormatError(f"{self.path} does not name picture {index + 1} of {key}")
        return files[index]

    def _part(self, key: str) -> dict[str, Any]:
        part = self._meta.get(key)
        if not isinstance(part, dict):
            raise FormatError(f"{self.path} has no {key}")
        return part

    def _count(self, size_bytes: int) -> int:
        count = self._meta.get("count")
        if self.version == 1:
            shape = self._part("means").get("shape")
            count = shape[0] if isinstance(shape, list) and shape else None
        count = _integer(count, MAX_SIDE * MAX_SIDE, f"{self.path} has a count of Gaussians")
        if count > _FEW and count * _PIXEL_BYTES > _MAX_RATIO * size_bytes:
            raise FormatError(f"{self.path} declares {count} Gaussians, too many for {size_bytes} bytes")
        return count


def unpack(textures: Textures) -> dict[str, np.ndarray]:
    """The fields of a scene, float32: means, log_scales, quats, logit_opacities, sh.

    Raises:
        FormatError: something is missing, broken, of another size, or out of range.
    """
    means = _means(textures)
    quats = _quats(textures)
    scales = _looked_up(textures, "scales", textures.pixels("scales")[:, :3])
    pixels = textures.pixels("sh0")
    base = _looked_up(textures, "sh0", pixels[:, :3])
    if textures.version == 1:
        low, high = textures.numbers("sh0", "mins", 4)[3], textures.numbers("sh0", "maxs", 4)[3]
        logits = _in_range(low, high, pixels[:, 3])
    else:
        logits = values.logit_of_opacities(np.arange(256) / 255)[pixels[:, 3]]
    rest = _rest(textures) if textures.has("shN") else np.empty((textures.count, 0, 3), np.float32)
    sh = np.empty((textures.count, 1 + rest.shape[1], 3), np.float32)
    sh[:, 0], sh[:, 1:] = base, rest
    return {"means": means, "log_scales": scales, "quats": quats, "logit_opacities": logits, "sh": sh}


def _means(textures: Textures) -> np.ndarray:
    """Positions from 16 bits of sign(x) ln(1 + |x|), with low and high bytes in separate images."""
    low, high = textures.numbers("means", "mins", 3), textures.numbers("means", "maxs", 3)
    steps = textures.pixels("means", 0)[:, :3] | textures.pixels("means", 1)[:, :3].astype(np.uint16) << 8
    means = np.empty((len(steps), 3), np.float32)
    # In double precision, block by block: expm1 magnifies rounding errors far from the origin.
    for start in range(0, len(steps), _BLOCK):
        log_means = low + (high - low) * (steps[start : start + _BLOCK] / 65535)
        with np.errstate(over="ignore"):
            means[start : start + _BLOCK] = np.copysign(np.expm1(np.abs(log_means)), log_means)
    return means


def _quats(textures: Textures) -> np.ndarray:
    pixels = textures.pixels("quats")
    bad = int(np.count_nonzero(pixels[:, 3] < FIRST_TAG))
    if bad:
        raise FormatError(f"{textures.path} has {bad} quaternions that do not say which component is largest")
    largest = (pixels[:, 3] - FIRST_TAG).astype(np.int64)
    small = (pixels[:, :3] / np.float32(127.5) - 1) / ROOT_TWO
    quats = np.empty((len(pixels), 4), np.float32)
    np.put_along_axis(quats, values.OTHER_COMPONENTS[largest], small, axis=1)
    rest = np.sqrt(np.maximum(0, 1 - np.square(small).sum(axis=1, keepdims=True)))
    np.put_along_axis(quats, largest[:, None], rest, axis=1)
    return quats


def _looked_up(textures: Textures, key: str, indices: np.ndarray) -> np.ndarray:
    """Decode bytes to float32 numbers; the last axis of the result is that of the ranges in version 1."""
    if textures.version == 1:
        length = {"scales": 3, "sh0": 4, "shN": 1}[key]
        low, high = (textures.numbers(key, name, length)[:3] for name in ("mins", "maxs"))
        return _in_range(low, high, indices)
    book = textures.numbers(key, "codebook", None).astype(np.float32)
    if len(book) < 256 and int(indices.max(initial=0)) >= len(book):
        raise FormatError(f"{textures.path} has {key} beyond the {len(book)} entries of their codebook")
    return book[indices]


def _in_range(low: np.ndarray, high: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Decode bytes to float32 numbers, as 256 uniform steps of a range."""
    steps = np.arange(256)[:, None] / 255
    table = (low + (high - low) * steps).astype(np.float32)
    return table[shares, np.arange(table.shape[1]) if shares.ndim > 1 else 0]


def _rest(textures: Textures) -> np.ndarray:
    """[n, k - 1, 3] coefficients: a palette row for each Gaussian, 64 rows side by side in the image."""
    picture = textures.picture("shN", 0, MAX_PALETTE * max(COEFFICIENTS.values()))
    width = picture.shape[1]
    if textures.version == 1:
        found = [bands for bands, k in COEFFICIENTS.items() if width == k * ROW_OF_PALETTE]
        bands, size = found[0] if found else 0, picture.shape[0] * ROW_OF_PALETTE
    else:
        bands, size = (
            textures.integer("shN", "bands", max(COEFFICIENTS)),
            textures.integer("shN", "count", MAX_PALETTE),
        )
    if width != COEFFICIENTS.get(bands, 0) * ROW_OF_PALETTE or size > picture.shape[0] * ROW_OF_PALETTE:
        what = f"{width} x {picture.shape[0]} for {size} rows of degree {bands}"
        raise FormatError(f"{textures.path} has a palette of {what}")
    if bands > values.MAX_SH_DEGREE:
        _log.warning("%s has %s", textures.path, values.degrees_dropped(bands))
    rows = picture.reshape(-1, COEFFICIENTS[bands], 4)[:size, : values.MAX_SH_COEFFICIENTS - 1, :3]
    labels = textures.pixels("shN", 1)[:, :2].astype(np.int64)
    labels = labels[:, 0] + 256 * labels[:, 1]
    if int(labels.max(initial=0)) >= size:
        raise FormatError(f"{textures.path} has SH beyond the {size} rows of their palette")
    return _looked_up(textures, "shN", rows)[labels]


def _integer(value: object, most: int, what: str) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise FormatError(f"{what} {shown(value)}, which is not 1 to {most}")
    return value


def _number(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    return math.nan
