"""Scenes as PlayCanvas' `.compressed.ply`: 16 bytes a Gaussian, and a byte for each SH coefficient.

Gaussians are stored in chunks of 256, each with the ranges of its positions, log scales and colours (element
``chunk``; old files lack those of colours). Element ``vertex`` has four words per Gaussian: position and
log scale as 11, 10 and 11 bits within those ranges, from the highest bit down; the quaternion (w, x, y, z)
as the index of its largest component, 2 bits, and the others, 10 bits each over -1/sqrt(2) to 1/sqrt(2);
colour and opacity as 8 bits each. The optional element ``sh`` has ``f_rest_*`` as bytes over -4 to 4, all
of red, then green, then blue.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.maths.morton import morton_order
from sfumato.scene.files import values
from sfumato.scene.files.codec import Codec
from sfumato.scene.files.ply_comments import comments_of, read_comments
from sfumato.scene.files.ply_table import PlyHeader, check_length, read_columns, read_header
from sfumato.scene.files.rounding import (
    moved,
    moved_closer,
    usual_reach,
    warn_of_moved,
    warn_of_moved_closer,
)
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, metadata_of

CHUNK = 256
BLOCK_CHUNKS = 256
RANGES = ["min_x", "min_y", "min_z", "max_x", "max_y", "max_z"]
RANGES += ["min_scale_x", "min_scale_y", "min_scale_z", "max_scale_x", "max_scale_y", "max_scale_z"]
COLOUR_RANGES = ["min_r", "min_g", "min_b", "max_r", "max_g", "max_b"]
WORDS = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]
COEFFICIENTS = {0: 1, 9: 4, 24: 9, 45: 16, 72: 25}
# Limit of log scales in files of other writers.
MAX_LOG_SCALE = 20.0

_BITS_11_10_11 = ((21, 11), (11, 10), (0, 11))
_BITS_10_10_10 = ((20, 10), (10, 10), (0, 10))
_BITS_8_8_8_8 = ((24, 8), (16, 8), (8, 8), (0, 8))

_log = logging.getLogger(__name__)


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file that begins with ``head`` is a PLY file that declares packed Gaussians."""
    header = head.split(b"end_header", 1)[0]
    return head.split(b"\n", 1)[0].strip() == b"ply" and b"packed_position" in header


def load(path: Path) -> Scene:
    """Read Gaussians from a compressed PLY file.

    Args:
        path: the file.

    Returns:
        float32 on the CPU, in the file's frame and order.

    Raises:
        FormatError: an element or property is missing, or counts do not match.
    """
    header = read_header(path)
    count, num_rest = _check_elements(header)
    ranges = _read(header, "chunk", RANGES, np.float32)
    has_colours = "min_r" in header.sole("chunk").names
    colours = _read(header, "chunk", COLOUR_RANGES, np.float32) if has_colours else None
    words = _read(header, "vertex", WORDS, np.uint32)
    means, log_scales = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    quats, logits = np.empty((count, 4), np.float32), np.empty(count, np.float32)
    kept = min(1 + num_rest // 3, values.MAX_SH_COEFFICIENTS)
    sh = np.empty((count, kept, 3), np.float32)
    for start in range(0, count, CHUNK * BLOCK_CHUNKS):
        part = slice(start, min(start + CHUNK * BLOCK_CHUNKS, count))
        chunk = np.arange(part.start, part.stop) // CHUNK
        means[part] = _within(
            ranges[chunk, 0:3], ranges[chunk, 3:6], _unpack_fractions(words[part, 0], _BITS_11_10_11)
        )
        quats[part] = _unpack_quats(words[part, 1])
        fractions = _unpack_fractions(words[part, 2], _BITS_11_10_11)
        log_scales[part] = _within(ranges[chunk, 6:9], ranges[chunk, 9:12], fractions)
        fractions = _unpack_fractions(words[part, 3], _BITS_8_8_8_8)
        colour = (
            fractions[:, :3]
            if colours is None
            else _within(colours[chunk, :3], colours[chunk, 3:], fractions)
        )
        sh[part, 0] = values.base_of_colour(colour)
        logits[part] = values.logit_of_opacities(fractions[:, 3])
    if num_rest:
        rest = _read(header, "sh", [f"f_rest_{i}" for i in range(num_rest)], np.uint8)
        sh[:, 1:] = _SH_VALUES[rest.reshape(count, 3, num_rest // 3)[:, :, : kept - 1].transpose(0, 2, 1)]
    if kept < 1 + num_rest // 3:
        _log.warning("%s has %s", path, values.degrees_dropped(math.isqrt(num_rest // 3)))
    # Old writers stored infinite ranges of scales; they are clamped to the format's limit.
    np.clip(log_scales, -values.MAX_LOG_SCALE, values.MAX_LOG_SCALE, out=log_scales)
    arrays = {"means": means, "log_scales": log_scales, "quats": quats, "logit_opacities": logits, "sh": sh}
    return values.scene_of(arrays, read_comments(header.comments))


def save(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians as a compressed PLY file, in the order of a space-filling curve.

    Neighbours fraction a chunk and its ranges, so that few bits suffice: 3 to 5 times smaller than a plain
        PLY
    file. Log scales beyond 20 and SH beyond 4 are clamped. Distant outliers that would coarsen the
    quantisation of others are moved closer and scaled down in proportion; warnings count them, and the
    Gaussians that quantisation moves by more than half their size.

    Args:
        gaussians: the scene, any device or float type.
        path: the file to write.

    Raises:
        FormatError: a field holds NaN or infinity, or a value that ``load`` would refuse.
    """
    arrays = values.checked_arrays(gaussians)
    count, num_rest = len(gaussians), 3 * (gaussians.sh.shape[1] - 1)
    order, ranges, words = _within_reach(arrays)
    lines = ["ply", "format binary_little_endian 1.0", *comments_of(metadata_of(gaussians))]
    lines.append(f"element chunk {len(ranges)}")
    lines += [f"property float {name}" for name in RANGES + COLOUR_RANGES]
    lines += [f"element vertex {count}", *(f"property uint {name}" for name in WORDS)]
    if num_rest:
        lines += [f"element sh {count}", *(f"property uchar f_rest_{i}" for i in range(num_rest))]
    with path.open("wb") as handle:
        handle.write(("\n".join([*lines, "end_header"]) + "\n").encode("ascii"))
        handle.write(ranges.tobytes())
        handle.write(words.tobytes())
        for start in range(0, count if num_rest else 0, CHUNK * BLOCK_CHUNKS):
            rest = arrays["sh"][order[start : start + CHUNK * BLOCK_CHUNKS], 1:].transpose(0, 2, 1)
            handle.write(np.clip(np.floor(rest * 32 + 128), 0, 255).astype(np.uint8).tobytes())


CODEC = Codec("compressed ply", (".compressed.ply",), recognises, load, save)


def _check_elements(header: PlyHeader) -> tuple[int, int]:
    """Number of Gaussians and of SH bytes of each, after checking the elements."""
    for name, names in {"chunk": RANGES, "vertex": WORDS}.items():
        found = header.element(name)
        missing = [n for n in names if found is None or n not in found.names]
        if missing:
            raise FormatError(f"{header.path} is a compressed ply without {', '.join(missing)} in {name!r}")
    chunk, vertex, rest = header.sole("chunk"), header.sole("vertex"), header.element("sh")
    if "min_r" in chunk.names and not set(COLOUR_RANGES) <= set(chunk.names):
        raise FormatError(f"{header.path} has only some of {', '.join(COLOUR_RANGES)}")
    kinds = {p.kind for p in vertex.properties if p.name in WORDS}
    if kinds != {"u4"}:
        raise FormatError(f"{header.path} has packed words that are not unsigned 32-bit numbers")
    if not header.order:
        raise FormatError(f"{header.path} is a compressed ply as text, which no writer makes")
    if chunk.count != -(-vertex.count // CHUNK):
        raise FormatError(f"{header.path} has {chunk.count} chunks of {CHUNK} for {vertex.count} Gaussians")
    num_rest = len(rest.names) if rest else 0
    if rest and (
        num_rest not in COEFFICIENTS
        or set(rest.names) != {f"f_rest_{i}" for i in range(num_rest)}
        or {p.kind for p in rest.properties} - {"u1"}
        or rest.count != vertex.count
    ):
        raise FormatError(
            f"{header.path} has an element 'sh' that is not {vertex.count} rows of 9, 24, 45 or 72 bytes"
        )
    for element in (chunk, vertex, rest):
        if element:
            check_length(header, element)
    return vertex.count, num_rest


def _read(header: PlyHeader, element: str, names: list[str], dtype: type) -> np.ndarray:
    """[rows, names] of one element."""
    rows = header.sole(element)
    table: np.ndarray = np.empty((rows.count, len(names)), dtype)
    read_columns(header, rows, {name: table[:, i] for i, name in enumerate(names)})
    return table


def _unpack_fractions(words: np.ndarray, bits: tuple[tuple[int, int], ...]) -> np.ndarray:
    """[n, fields] float64 fractions 0 to 1 of packed words; ``bits`` has the shift and width of each
    field."""
    fields = [(words >> np.uint32(shift) & np.uint32(2**width - 1)) / (2**width - 1) for shift, width in bits]
    return np.stack(fields, axis=1)


def _pack(fractions: np.ndarray, bits: tuple[tuple[int, int], ...]) -> np.ndarray:
    """[n] words of [n, fields] fractions, clamped to 0 to 1."""
    words = np.zeros(len(fractions), np.uint32)
    for column, (shift, width) in zip(fractions.T, bits, strict=True):
        top = 2**width - 1
        words |= np.clip(np.rint(column.astype(np.float64) * top), 0, top).astype(np.uint32) << np.uint32(
            shift
        )
    return words


def _within(low: np.ndarray, high: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Values at float64 fractions [n, 3 or more] of the way from low to high, [n, 3] each."""
    fraction = fractions[:, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        return low * (1 - fraction) + high * fraction


def _unpack_quats(words: np.ndarray) -> np.ndarray:
    largest = words >> np.uint32(30)
    small = (_unpack_fractions(words, _BITS_10_10_10) - 0.5) * 2**0.5
    quats = np.empty((len(words), 4), np.float32)
    np.put_along_axis(quats, values.OTHER_COMPONENTS[largest], small, axis=1)
    rest = np.sqrt(np.maximum(0, 1 - np.square(small).sum(axis=1)))
    np.put_along_axis(quats, largest[:, None].astype(np.int64), rest[:, None], axis=1)
    return quats


def _pack_quats(quats: np.ndarray) -> np.ndarray:
    unit = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    largest = np.abs(unit).argmax(axis=1)
    unit *= np.where(np.take_along_axis(unit, largest[:, None], axis=1) < 0, -1, 1)
    small = np.take_along_axis(unit, values.OTHER_COMPONENTS[largest], axis=1)
    return _pack(small / np.float32(2**0.5) + np.float32(0.5), _BITS_10_10_10) | (
        largest.astype(np.uint32) << np.uint32(30)
    )


def _within_reach(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The result of ``_ordered``, with distant outliers moved closer where that helps the others."""
    total = len(arrays["means"])
    found, num_moved = _ordered(arrays)
    if num_moved:
        reach = usual_reach(arrays["means"])
        changed, nearer = moved_closer(arrays, reach)
        again, still_moved = _ordered(changed) if nearer else (found, num_moved)
        if still_moved < num_moved:
            found, num_moved = again, still_moved
            warn_of_moved_closer(nearer, total, reach, ".compressed.ply")
    warn_of_moved(num_moved, total, ".compressed.ply")
    return found


def _ordered(arrays: dict[str, np.ndarray]) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int]:
    """The order of the Gaussians [n], the chunks' ranges [chunks, 18] and the words [n, 4] in that order.

    Also the number of Gaussians that quantisation moves visibly.
    """
    count = len(arrays["means"])
    order, num_chunks, num_moved = morton_order(arrays["means"]), -(-count // CHUNK), 0
    ranges, words = np.empty((num_chunks, 18), "<f4"), np.empty((count, 4), "<u4")
    for first in range(0, num_chunks, BLOCK_CHUNKS):
        chosen = order[first * CHUNK : (first + BLOCK_CHUNKS) * CHUNK]
        part = {name: array[chosen] for name, array in arrays.items() if name != "sh"}
        part["colours"] = values.colour_of_base(arrays["sh"][chosen, 0])
        rows = slice(first * CHUNK, first * CHUNK + len(chosen))
        ranges[first : first + BLOCK_CHUNKS], words[rows] = _packed(part)
        own = ranges[np.arange(rows.start, rows.stop) // CHUNK]
        stored = _within(own[:, :3], own[:, 3:6], _unpack_fractions(words[rows, 0], _BITS_11_10_11))
        num_moved += moved(part["means"], stored, part["log_scales"])
    return (order, ranges, words), num_moved


def _packed(part: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Ranges [chunks, 18] and words [n, 4] of whole chunks, of which the last may be shorter."""
    starts = np.arange(0, len(part["means"]), CHUNK)
    chunk = np.arange(len(part["means"])) // CHUNK
    ranges, fractions = [], []
    for array in (part["means"], np.clip(part["log_scales"], -MAX_LOG_SCALE, MAX_LOG_SCALE), part["colours"]):
        low, high = np.minimum.reduceat(array, starts), np.maximum.reduceat(array, starts)
        ranges += [low, high]
        low, high = low.astype(np.float64), high.astype(np.float64)
        fractions.append((array - low[chunk]) / np.where(high > low, high - low, 1)[chunk])
    opacities = values.opacities_of_logits(part["logit_opacities"])
    words = [
        _pack(fractions[0], _BITS_11_10_11),
        _pack_quats(part["quats"]),
        _pack(fractions[1], _BITS_11_10_11),
        _pack(np.column_stack([fractions[2], opacities]), _BITS_8_8_8_8),
    ]
    return np.concatenate(ranges, axis=1), np.stack(words, axis=1)


# The centres of 256 steps over -4 to 4; the outermost bytes stand for the limits themselves.
_SH_VALUES = ((np.arange(256, dtype=np.float32) + 0.5) / 32 - 4).astype(np.float32)
_SH_VALUES[[0, 255]] = -4, 4
