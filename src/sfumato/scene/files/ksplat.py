"""Scenes as `.ksplat`, the container of an older viewer; read only.

A header of 4096 bytes and one of 1024 for each section; then, for each section, the sizes of partly filled
buckets, bucket centres and Gaussians. By compression level, numbers are float32 (0), or float16 with
positions in uint16 steps around the centre of their bucket (1 and 2), and SH in bytes over a range (2).
SH are stored degree by degree, in each all of red, then green, then blue.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files import values
from sfumato.scene.files.codec import Codec
from sfumato.scene.scene import Scene

HEADER_BYTES, SECTION_BYTES = 4096, 1024
MAX_SECTIONS = 10_000
MAX_LEVEL = 2
BLOCK = 65536
# By SH degree: number of coefficients without the base colour.
NUM_REST = (0, 9, 24, 45)
DEFAULT_SH_RANGE = 1.5
DEFAULT_STEPS = (1, 32767, 32767)


@dataclass(frozen=True)
class Section:
    """Offsets of a section's parts, and the packing of its positions."""

    count: int
    degree: int
    start: int
    rows_start: int
    bucket_size: int
    num_buckets: int
    num_full: int
    num_partial: int
    step: float
    middle: int
    end: int


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file's header is of the known version, with a valid level and plausible counts."""
    if len(head) < HEADER_BYTES or head[:1] != b"\0" or not 1 <= head[1] < 16 or head[2:4] != b"\0\0":
        return False
    max_sections, num_sections, _, _ = struct.unpack_from("<4I", head, 4)
    (level,) = struct.unpack_from("<H", head, 20)
    return 1 <= max_sections <= MAX_SECTIONS and num_sections <= max_sections and level <= MAX_LEVEL


def load(path: Path) -> Scene:
    """Read Gaussians from a `.ksplat` file.

    Args:
        path: the file.

    Returns:
        float32 on the CPU, in the file's frame and order, with SH of the highest degree of its sections.

    Raises:
        FormatError: not a ``.ksplat`` file, truncated, or with inconsistent counts.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(HEADER_BYTES)
        if not recognises(head, path):
            raise FormatError(f"{path} is not a .ksplat file, or of an unknown version")
        max_sections, _, _, count = struct.unpack_from("<4I", head, 4)
        (level,) = struct.unpack_from("<H", head, 20)
        low, high = struct.unpack_from("<2f", head, 36)
        table = handle.read(max_sections * SECTION_BYTES)
        if len(table) < max_sections * SECTION_BYTES:
            raise FormatError(f"{path} is truncated in the headers of its sections")
        sections = _read_sections(path, table, level, size)
        if sum(section.count for section in sections) != count or not count:
            raise FormatError(f"{path} declares {count} Gaussians; its sections hold another number, or none")
        num_coefficients = (max(section.degree for section in sections if section.count) + 1) ** 2
        arrays = {
            "means": np.empty((count, 3), np.float32),
            "log_scales": np.empty((count, 3), np.float32),
            "quats": np.empty((count, 4), np.float32),
            "logit_opacities": np.empty(count, np.float32),
            "sh": np.zeros((count, num_coefficients, 3), np.float32),
        }
        first, sh_range = 0, (low or -DEFAULT_SH_RANGE, high or DEFAULT_SH_RANGE)
        for section in sections:
            part = {name: array[first : first + section.count] for name, array in arrays.items()}
            _read_section(path, handle, section, level, sh_range, part)
            first += section.count
    return values.scene_of(arrays)


CODEC = Codec(".ksplat", (".ksplat",), recognises, load, None)


def _row(level: int, degree: int) -> np.dtype:
    number = "<f4" if level == 0 else "<f2"
    kinds = [("mean", "<f4" if level == 0 else "<u2", 3), ("scale", number, 3), ("quat", number, 4)]
    kinds += [("rgba", "u1", 4), ("sh", ("<f4", "<f2", "u1")[level], NUM_REST[degree])]
    return np.dtype(kinds)


def _read_sections(path: Path, table: bytes, level: int, size: int) -> list[Section]:
    """The section headers, checked against the file's length."""
    sections, start = [], HEADER_BYTES + len(table)
    for offset in range(0, len(table), SECTION_BYTES):
        count, room, bucket_size, num_buckets = struct.unpack_from("<4I", table, offset)
        (block,) = struct.unpack_from("<f", table, offset + 16)
        (bucket_bytes,) = struct.unpack_from("<H", table, offset + 20)
        (steps,) = struct.unpack_from("<I", table, offset + 24)
        num_full, num_partial = struct.unpack_from("<2I", table, offset + 32)
        (degree,) = struct.unpack_from("<H", table, offset + 40)
        if degree >= len(NUM_REST) or count > room or not np.isfinite(block):
            raise FormatError(f"{path} has a section header that cannot be: the file is damaged")
        if level and count and (bucket_bytes != 12 or num_full + num_partial > num_buckets):
            raise FormatError(f"{path} has {num_full} full and {num_partial} other buckets of {num_buckets}")
        if level and num_full * bucket_size > room:
            raise FormatError(f"{path} has {num_full} buckets of {bucket_size} Gaussians in room for {room}")
        rows_start = start + 4 * num_partial + bucket_bytes * num_buckets
        end = rows_start + _row(level, degree).itemsize * room
        # A trimmed file may lack the unused capacity of its last section.
        used = end - _row(level, degree).itemsize * (room - count)
        if used > size:
            raise FormatError(f"{path} has {size} bytes where its sections need {used}; it is truncated")
        steps = steps or DEFAULT_STEPS[level]
        sections.append(
            Section(
                count=count,
                degree=degree,
                start=start,
                rows_start=rows_start,
                bucket_size=bucket_size,
                num_buckets=num_buckets,
                num_full=num_full,
                num_partial=num_partial,
                step=block / 2 / steps,
                middle=steps,
                end=end,
            )
        )
        start = end
    return sections


def _read_section(
    path: Path,
    handle: BinaryIO,
    section: Section,
    level: int,
    sh_range: tuple[float, float],
    into: dict[str, np.ndarray],
) -> None:
    """Fill the arrays of one section, block by block."""
    full = section.num_full * section.bucket_size
    if level and section.count:
        handle.seek(section.start)
        sizes = np.fromfile(handle, "<u4", section.num_partial).astype(np.int64)
        centres = np.fromfile(handle, "<f4", 3 * section.num_buckets).reshape(-1, 3)
        ends = full + np.cumsum(sizes)
        held = ends[-1] if len(ends) else full
        if section.count > held:
            raise FormatError(f"{path} has buckets of {held} Gaussians for {section.count}")
    handle.seek(section.rows_start)
    for start in range(0, section.count, BLOCK):
        rows = np.fromfile(handle, _row(level, section.degree), min(BLOCK, section.count - start))
        part = slice(start, start + len(rows))
        if len(rows) != min(BLOCK, section.count - start):
            raise FormatError(f"{path} ended while it was read")
        means = rows["mean"].astype(np.float32)
        if level:
            index = np.arange(part.start, part.stop)
            later = section.num_full + np.searchsorted(ends, index, side="right")
            bucket = np.where(index < full, index // max(section.bucket_size, 1), later)
            with np.errstate(over="ignore", invalid="ignore"):
                means = (means.astype(np.float64) - section.middle) * section.step + centres[bucket]
        into["means"][part] = means
        into["log_scales"][part] = values.log_of_scales(rows["scale"].astype(np.float32))
        into["quats"][part] = rows["quat"]
        into["logit_opacities"][part] = values.logit_of_opacities(rows["rgba"][:, 3] / np.float32(255))
        into["sh"][part, 0] = values.base_of_colour(rows["rgba"][:, :3] / np.float32(255))
        for degree in range(1, section.degree + 1):
            own: np.ndarray = rows["sh"][:, NUM_REST[degree - 1] : NUM_REST[degree]].astype(np.float32)
            if level == 2:
                own = sh_range[0] + own / 255 * (sh_range[1] - sh_range[0])
            coefficients = own.reshape(len(rows), 3, 2 * degree + 1).transpose(0, 2, 1)
            into["sh"][part, degree**2 : (degree + 1) ** 2] = coefficients
