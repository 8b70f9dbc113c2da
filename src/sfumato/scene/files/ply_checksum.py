"""The checksum in the header of our own `.ply` files, by which a damaged scene is not taken for another one.

Every PLY reader skips comments, so the file stays everybody's.
"""

from __future__ import annotations

import re
import zlib

from sfumato.scene.files.ply_table import BLOCK_BYTES, PlyHeader

_COMMENT = re.compile(r"crc32 ([0-9a-f]{8})")


def checksum_comment(checksum: int) -> str:
    """The line of a header that tells the CRC-32 of all that follows the header; always as long."""
    return f"comment crc32 {checksum:08x}"


def has_changed(header: PlyHeader) -> bool:
    """Whether what follows the header is not what its checksum was made of; False without one."""
    found = next(filter(None, map(_COMMENT.fullmatch, header.comments)), None)
    if found is None:
        return False
    checksum = 0
    with header.path.open("rb") as handle:
        handle.seek(header.body_start_bytes)
        while block := handle.read(BLOCK_BYTES):
            checksum = zlib.crc32(block, checksum)
    return checksum != int(found[1], 16)
