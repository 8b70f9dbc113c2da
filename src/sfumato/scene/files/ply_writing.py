"""Writing of PLY files with Gaussians, in one piece or in several."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files import values
from sfumato.scene.files.ply_checksum import checksum_comment
from sfumato.scene.files.ply_comments import comments_of
from sfumato.scene.files.ply_rows import BASE_COLOUR, IDENTITY, POSITION, ROTATION, SCALE
from sfumato.scene.files.ply_table import BLOCK_BYTES
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import identities_of, metadata_of

NORMAL = ["nx", "ny", "nz"]


@contextmanager
def writing(path: Path, like: Gaussians, count: int) -> Iterator[Callable[[Gaussians], None]]:
    """A context in which a PLY file is written, binary little-endian, as float32.

    Args:
        path: the file to write.
        like: Gaussians with the SH degree, the metadata and identities or none of what will be added.
        count: number of Gaussians that will be added.

    Returns:
        A context manager that gives a function to add Gaussians with.

    Raises:
        FormatError: a field holds NaN or infinity, or a value that ``load`` would refuse.
    """
    num_coefficients = like.sh.shape[1]
    # Columns of sh are (coefficient, channel); the file has the base colour, then channel by channel.
    rest = [3 * k + channel for channel in range(3) for k in range(1, num_coefficients)]
    names = [*POSITION, *NORMAL, *BASE_COLOUR, *(f"f_rest_{i}" for i in range(len(rest)))]
    names += ["opacity", *SCALE, *ROTATION]
    header = ["ply", "format binary_little_endian 1.0", checksum_comment(0)]
    header += [*comments_of(metadata_of(like)), f"element vertex {count}"]
    header += [f"property float {name}" for name in names]
    header += [*(f"property int {IDENTITY}" for _ in _identities_to_write(like)[:1]), "end_header"]
    head = "\n".join(header) + "\n"
    checksum = added = 0
    with path.open("wb") as handle:
        handle.write(head.encode("ascii"))

        def add(gaussians: Gaussians) -> None:
            nonlocal checksum, added
            added += len(gaussians)
            for rows in _rows_of(gaussians, rest):
                checksum = zlib.crc32(rows, checksum)
                handle.write(rows)

        yield add
        if added != count:
            raise ValueError(f"{added} Gaussians were added, not {count}")
        # Replaces the placeholder of the same length.
        handle.seek(head.index(checksum_comment(0)))
        handle.write(checksum_comment(checksum).encode("ascii"))


def _rows_of(gaussians: Gaussians, rest: list[int]) -> Iterator[bytes]:
    """The bytes of the rows of Gaussians, block by block; ``rest``: columns of SH after the base colour."""
    arrays = {
        field: array.reshape(len(gaussians), math.prod(array.shape[1:]))
        for field, array in values.checked_arrays(gaussians).items()
    }
    identities = _identities_to_write(gaussians)
    block = max(1, BLOCK_BYTES // (4 * (17 + len(rest))))
    for start in range(0, len(gaussians), block):
        part = {field: array[start : start + block] for field, array in arrays.items()}
        parts = [part["means"], np.zeros_like(part["means"]), part["sh"][:, :3], part["sh"][:, rest]]
        parts += [part["logit_opacities"], part["log_scales"], part["quats"]]
        parts += [column[start : start + block, None] for column in identities]
        yield np.concatenate(parts, axis=1).astype("<f4", copy=False).tobytes()


def _identities_to_write(gaussians: Gaussians) -> list[np.ndarray]:
    """The column of identities, [n] little-endian int32 viewed as float32, in a list; empty without any.

    Raises:
        FormatError: one is out of range.
    """
    identities = identities_of(gaussians)
    if identities is None:
        return []
    column = identities.cpu().numpy()
    if len(column) and (column.min() < 0 or column.max() > np.iinfo(np.int32).max):
        raise FormatError(f"the scene cannot be saved: identities are 0 to 2^31 - 1, one is {column.max()}")
    return [column.astype("<i4").view("<f4")]
