"""Scenes as PlayCanvas' `.sog`: values as pixels of lossless WebP images, with a description in JSON.

Bundled, a zip archive `scene.sog`; unbundled, a folder with `meta.json`; streamed, a folder with
`lod-meta.json` and subfolders, of which the finest level is read. The frame is that of the field's `.ply`
files.

Source: the format's description at developer.playcanvas.com, "The SOG Format" and "Streamed SOG".
"""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import ConfigError, FormatError
from sfumato.maths.morton import morton_order
from sfumato.outputs import write_bytes
from sfumato.scene.files import values
from sfumato.scene.files.codec import Codec
from sfumato.scene.files.generator import extras_of
from sfumato.scene.files.rounding import (
    moved,
    moved_closer,
    typical_log_size,
    usual_reach,
    warn_of_moved,
    warn_of_moved_closer,
)
from sfumato.scene.files.sog_images import MAX_SIDE, encode
from sfumato.scene.files.sog_levels import INDEX, MAX_INDEX_BYTES, index_of, load_levels
from sfumato.scene.files.sog_palette import codebook, nearest_in, palette
from sfumato.scene.files.sog_source import (
    MAX_META_BYTES,
    ZIP_MAGIC,
    archive_reader,
    folder_reader,
    holds,
    parse,
)
from sfumato.scene.files.sog_textures import (
    FIRST_TAG,
    MAX_PALETTE,
    ROW_OF_PALETTE,
    Textures,
    unpack,
)
from sfumato.scene.files.spz_packing import in_threads
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import GENERATOR, Metadata, Scene, metadata_of

META = "meta.json"
# Log scales below this, relative to the median, are invisible and would waste entries of the codebook.
_THINNEST = math.log(1e-5)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is a zip archive or a description of a `.sog` scene."""
    if head[:4] == ZIP_MAGIC:
        return path.suffix.lower() == ".sog" or holds(path, META)
    is_object = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    return is_object and (
        all(key in head for key in (b'"means"', b'"quats"'))
        or all(key in head for key in (b'"lodLevels"', b'"filenames"'))
    )


def load(path: Path) -> Scene:
    """Read Gaussians from a `.sog` scene.

    Args:
        path: an archive, a `meta.json`, or a `lod-meta.json`, of which the finest available level is read,
            with a warning if it is not the finest of all.

    Returns:
        float32 on the CPU, in the file's frame and order.

    Raises:
        FormatError: a part is missing, broken, larger or smaller than its description says, or lossy.
    """
    with path.open("rb") as handle:
        start = handle.read(4)
    if start != ZIP_MAGIC:
        meta = _description(path)
        if "lodLevels" in meta:
            return load_levels(index_of(path, meta), load_folder)
    return _load_archive(path) if start == ZIP_MAGIC else load_folder(path)


def save(
    gaussians: Gaussians, path: Path, *, palette_size: int = 65536, antialiased: bool | None = None
) -> None:
    """Write Gaussians as a `.sog` scene, in the order of a space-filling curve.

    Args:
        gaussians: the scene, any device or float type.
        path: the file to write: an archive, or with the suffix `.json` the description of a folder's
            pictures, which are written beside it.
        palette_size: maximum number of different SH above degree 0, 1 to 65536. With fewer, files are
            smaller and faster to write.
        antialiased: mark the scene for anti-aliased rendering; None: by its metadata.

    Raises:
        FormatError: a field holds NaN or infinity, or there are no Gaussians, or too many for a picture.
        ConfigError: an option is out of range.
        SfumatoError: a picture cannot be written.
    """
    if not 1 <= palette_size <= MAX_PALETTE:
        raise ConfigError(f"palette_size is {palette_size}; give 1 to {MAX_PALETTE}")
    arrays = values.checked_arrays(gaussians)
    if not 1 <= len(gaussians) <= MAX_SIDE**2 // 2:
        raise FormatError(f"the scene cannot be saved: .sog holds 1 and more Gaussians, not {len(gaussians)}")
    order = morton_order(arrays["means"])
    arrays = _within_reach({name: array[order] for name, array in arrays.items()})
    known = metadata_of(gaussians)
    known = known if antialiased is None else replace(known, antialiased=antialiased)
    values.warn_of_lost_metadata(replace(known, antialiased=False), ".sog")
    parts = encoded(arrays, known, palette_size)
    if path.suffix.lower() == ".json":
        for name in set(parts) - {META}:
            write_bytes(path.parent / name, parts[name])
        path.write_bytes(parts[META])
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def encoded(arrays: dict[str, np.ndarray], known: Metadata, palette_size: int) -> dict[str, bytes]:
    """The files of an unbundled scene by name, its description first; Gaussians keep their order.

    Args:
        arrays: finite fields of the Gaussians, float32, as ``values.checked_arrays`` gives them.
        known: of which anti-aliasing and source are written.
        palette_size: as in ``save``.
    """
    meta: dict[str, Any] = {"version": 2, "asset": {"generator": GENERATOR}, "count": len(arrays["means"])}
    meta |= extras_of(known)
    if known.antialiased:
        # "model" is the key of splat-transform from version 3 on.
        meta |= {"antialias": True, "model": "antialiased"}
    # The palette takes longest and so is started first; the others run in parallel.
    makers = [_rest, _scales, _base, _means, _quats]
    pictures: dict[str, bytes] = {}
    for part in reversed(list(in_threads(lambda make: make(arrays, palette_size), makers))):
        for key, description, files in part:
            meta[key] = description | {"files": list(files)}
            pictures |= files
    return {META: json.dumps(meta, allow_nan=False).encode("ascii"), **pictures}


CODEC = Codec(".sog", (".sog", "meta.json"), recognises, load, save, ("palette_size", "antialiased"))


def _description(path: Path) -> dict[str, Any]:
    most = MAX_INDEX_BYTES if path.name == INDEX else MAX_META_BYTES
    return parse(folder_reader(path.parent)(path.name, most), str(path))


def _load_archive(path: Path) -> Scene:
    with archive_reader(path) as read:
        meta = parse(read(META, MAX_META_BYTES), f"{path}: {META}")
        return _scene(Textures(path, meta, read, path.stat().st_size))


def load_folder(path: Path) -> Scene:
    """Read the Gaussians of an unbundled scene, by its `meta.json`; values are not checked."""
    size = sum(part.stat().st_size for part in path.parent.glob("*.webp"))
    return _scene(Textures(path, _description(path), folder_reader(path.parent), size))


def degree_of(path: Path) -> int:
    """The degree of the SH of an unbundled scene, by its `meta.json`.

    Raises:
        FormatError: it is missing or broken.
    """
    meta = _description(path)
    if meta.get("version", 1) != 2:
        return load_folder(path).sh_degree
    part = meta.get("shN")
    bands = part.get("bands") if isinstance(part, dict) else 0
    return min(bands, values.MAX_SH_DEGREE) if type(bands) is int and bands > 0 else 0


def _scene(textures: Textures) -> Scene:
    known = Metadata(antialiased=textures.antialiased, source=textures.source)
    return values.scene_of(unpack(textures), known)


_Part = list[tuple[str, dict[str, Any], dict[str, bytes]]]


def _rest(arrays: dict[str, np.ndarray], palette_size: int) -> _Part:
    sh = arrays["sh"][:, 1:]
    num_coefficients = sh.shape[1]
    if not num_coefficients:
        return []
    entries, labels = palette(np.ascontiguousarray(sh).reshape(len(sh), -1), palette_size)
    book = codebook(entries)
    columns = ROW_OF_PALETTE
    rows = np.zeros((-(-len(entries) // columns) * columns, num_coefficients, 3), np.uint8)
    rows[: len(entries)] = nearest_in(book, entries).reshape(-1, num_coefficients, 3)
    indices = np.stack([labels & 255, labels >> 8, np.zeros_like(labels)], axis=1).astype(np.uint8)
    pictures = {
        "shN_centroids.webp": encode(rows.reshape(-1, columns * num_coefficients, 3)),
        "shN_labels.webp": encode(_framed(indices)),
    }
    bands = math.isqrt(num_coefficients + 1) - 1
    return [("shN", {"count": len(entries), "bands": bands, "codebook": book.tolist()}, pictures)]


def _scales(arrays: dict[str, np.ndarray], palette_size: int) -> _Part:
    log_scales = arrays["log_scales"]
    log_scales = np.maximum(log_scales, np.median(log_scales) + np.float32(_THINNEST))
    book = codebook(log_scales)
    return [
        (
            "scales",
            {"codebook": book.tolist()},
            {"scales.webp": encode(_framed(nearest_in(book, log_scales)))},
        )
    ]


def _base(arrays: dict[str, np.ndarray], palette_size: int) -> _Part:
    base = arrays["sh"][:, 0]
    book = codebook(base)
    opacities = np.rint(values.opacities_of_logits(arrays["logit_opacities"]) * 255).astype(np.uint8)
    pixels = np.column_stack([nearest_in(book, base), opacities])
    return [("sh0", {"codebook": book.tolist()}, {"sh0.webp": encode(_framed(pixels))})]


def _within_reach(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, with distant outliers moved closer if they coarsen the quantisation of all others."""
    means, total = arrays["means"], len(arrays["means"])
    reach, extent = usual_reach(means), float(np.abs(means).max())
    # Whether even the finest steps of the logarithmic curve exceed a quarter of a typical Gaussian.
    coarse = 2 * np.log1p(extent) / 65535 > np.exp(typical_log_size(arrays["log_scales"])) / 4
    if coarse and np.log1p(reach) < np.log1p(extent) / 2:
        arrays, nearer = moved_closer(arrays, reach)
        warn_of_moved_closer(nearer, total, reach, ".sog")
    warn_of_moved(visibly_moved(arrays), total, ".sog")
    return arrays


def visibly_moved(arrays: dict[str, np.ndarray]) -> int:
    """Number of Gaussians that the quantisation of positions in one file moves visibly."""
    low, high, steps = _steps(arrays["means"])
    log_means = low + (high - low) * (steps / 65535)
    stored = np.copysign(np.expm1(np.abs(log_means)), log_means)
    return moved(arrays["means"], stored, arrays["log_scales"])


def _steps(means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest [3] and highest [3] of the positions on a logarithmic curve, and [n, 3] uint16 between these."""
    wide = means.astype(np.float64)
    log_means = np.copysign(np.log1p(np.abs(wide)), wide)
    low, high = log_means.min(axis=0), log_means.max(axis=0)
    return (
        low,
        high,
        np.rint((log_means - low) * (65535 / np.where(high > low, high - low, 1))).astype(np.uint16),
    )


def _means(arrays: dict[str, np.ndarray], palette_size: int) -> _Part:
    low, high, steps = _steps(arrays["means"])
    pictures = {
        "means_l.webp": encode(_framed((steps & 255).astype(np.uint8))),
        "means_u.webp": encode(_framed((steps >> 8).astype(np.uint8))),
    }
    return [("means", {"mins": low.tolist(), "maxs": high.tolist()}, pictures)]


def _quats(arrays: dict[str, np.ndarray], palette_size: int) -> _Part:
    quats = arrays["quats"].astype(np.float64)
    unit = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    largest = np.abs(unit).argmax(axis=1)[:, None]
    unit *= np.where(np.take_along_axis(unit, largest, axis=1) < 0, -1, 1)
    small = np.take_along_axis(unit, values.OTHER_COMPONENTS[largest[:, 0]], axis=1)
    stored = np.clip(np.rint((small * math.sqrt(2) + 1) * 127.5), 0, 255)
    pixels = np.column_stack([stored, largest + FIRST_TAG]).astype(np.uint8)
    return [("quats", {}, {"quats.webp": encode(_framed(pixels))})]


def _framed(pixels: np.ndarray) -> np.ndarray:
    """[h, w, c] image of [n, c] pixels, row by row, padded with zeros."""
    width = 4 * math.ceil(math.sqrt(len(pixels)) / 4)
    height = 4 * math.ceil(len(pixels) / width / 4)
    picture = np.zeros((height * width, pixels.shape[1]), np.uint8)
    picture[: len(pixels)] = pixels
    return picture.reshape(height, width, -1)
