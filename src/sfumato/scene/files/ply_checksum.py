"""The checksum in the header of our own `.ply` files, which reveals damage.

It is a comment, which every PLY reader skips.
"""

from __future__ import annotations

import re
import zlib

from sfumato.scene.files.ply_table import BLOCK_BYTES, PlyHeader

_COMMENT = re.compile(r"crc32 ([0-9a-f]{8})")


def checksum_comment(checksum: int) -> str:
    """The header line with the CRC-32 of the data after the header; of constant length."""
    return f"comment crc32 {checksum:08x}"


def has_changed(header: PlyHeader) -> bool:
    """Whether the data after the header does not match the checksum; False without one."""
    found = next(filter(None, map(_COMMENT.fullmatch, header.comments)), None)
    if found is None:
        return False
    checksum = 0
    with header.path.open("rb") as handle:
        handle.seek(header.body_start_bytes)
        while block := handle.read(BLOCK_BYTES):
            checksum = zlib.crc32(block, checksum)
    return checksum != int(found[1], 16)
