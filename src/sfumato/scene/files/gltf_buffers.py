"""The buffers of glTF files: in the file itself, as base64 in its JSON, or in files beside it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import FormatError

# Divisible by 4: whole groups of base64.
_BASE64_PIECE = 1 << 20


@dataclass(frozen=True)
class Buffer:
    """Bytes that buffer views point into: ``data``, or else ``length`` bytes of a file."""

    length: int
    data: bytes | bytearray | None = None
    path: Path | None = None
    start: int = 0

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on, whose presence the caller has checked."""
        if self.data is not None:
            return bytes(memoryview(self.data)[offset : offset + length])
        assert self.path is not None
        with self.path.open("rb") as handle:
            handle.seek(self.start + offset)
            return handle.read(length)


def open_buffer(path: Path, entry: object, inside: Buffer | None) -> Buffer:
    """The buffer that an entry of a document describes.

    Args:
        path: the document, named in errors.
        entry: of its JSON; an embedded base64 address is removed from it to free memory.
        inside: the binary chunk, for the first buffer of a binary file.

    Raises:
        FormatError: it has no length or is shorter than it, is not base64, or lies elsewhere.
    """
    length = entry.get("byteLength") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or type(length) is not int or length < 0:
        raise FormatError(f"{path} has a buffer without a length")
    uri = entry.get("uri")
    if uri is None and inside is not None:
        found = inside
    elif isinstance(uri, str) and uri.startswith("data:"):
        data = _decoded(path, uri)
        # Frees the memory of the text.
        entry["uri"] = None
        found = Buffer(len(data), data=data)
    else:
        beside = _beside(path, uri)
        found = Buffer(beside.stat().st_size, path=beside)
    if length > found.length:
        raise FormatError(f"{path} declares a buffer of {length} bytes but holds {found.length}")
    return found


def _decoded(path: Path, uri: str) -> bytearray:
    """The bytes of a base64 address, decoded piece by piece so that no more copies of it are made."""
    data, start = bytearray(), uri.find(",") + 1 or len(uri)
    try:
        for at in range(start, len(uri), _BASE64_PIECE):
            piece = base64.b64decode(uri[at : at + _BASE64_PIECE], validate=True)
            if len(data) % 3:
                raise ValueError("padding within the numbers")
            data += piece
    except ValueError:
        raise FormatError(f"{path} has a buffer that is not base64") from None
    return data


def _beside(path: Path, uri: object) -> Path:
    """The file that a relative address names, percent-encoded or not, which must not leave the folder."""
    folder = path.resolve().parent
    # Some writers do not percent-encode names.
    for name in dict.fromkeys((_percent_decoded(uri), uri)) if isinstance(uri, str) else ():
        if not name or any(mark in name for mark in ":\0\\"):
            continue
        try:
            target = (folder / name).resolve()
            if target.is_relative_to(folder) and target.is_file():
                return target
        except (OSError, ValueError):
            # Too long, or with characters that are invalid in file names.
            continue
    raise FormatError(f"{path} has a buffer {shown(uri)}, which is not a file beside it")


def _percent_decoded(uri: str) -> str:
    """An address with percent-encoding decoded as UTF-8 (RFC 3986)."""
    encoded = uri.encode("utf-8", "replace")
    data = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), encoded)
    return data.decode("utf-8", "replace")


def shown(found: object) -> str:
    """A value from a file, on one line and of bounded length."""
    text = ascii(found)
    return text if len(text) <= 60 else text[:60] + "..."
