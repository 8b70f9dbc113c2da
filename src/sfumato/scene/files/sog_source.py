"""Access to the files of a `.sog` scene, in a zip archive or a folder."""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sfumato.errors import FormatError

ZIP_MAGIC = b"PK\x03\x04"
MAX_META_BYTES = 1024 * 1024
# A scene has nine parts; a directory with thousands is refused.
_MOST_DIRECTORY_BYTES = 64 * 1024
_DIRECTORY_END = b"PK\x05\x06"
# Locator of the zip64 directory, for archives above 4 GiB, which no scene needs.
_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)
_PLAIN_NAME = re.compile(r"[^\\/:\x00-\x1f]+")

# Returns the bytes of a part by its name; FormatError if it is larger than a limit.
Read = Callable[[str, int], bytes]


def folder_reader(folder: Path) -> Read:
    """Reads files of a folder by their plain names."""

    def read(name: str, limit: int) -> bytes:
        if not _PLAIN_NAME.fullmatch(name) or name in (".", ".."):
            raise FormatError(f"{folder} is to be read from {shown(name)}, which is not a plain file name")
        path = folder / name
        if not path.is_file():
            raise FormatError(f"{path} is missing")
        with path.open("rb") as handle:
            return _within(handle.read(limit + 1), limit, str(path))

    return read


@contextmanager
def archive_reader(path: Path) -> Iterator[Read]:
    """Reads members of a zip archive, decompressed only up to a limit.

    Raises:
        FormatError: it is not a zip archive, or has too many members.
    """
    if not _short_directory(path):
        raise FormatError(f"{path} is a broken zip archive, or one with too many members for a scene")
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise FormatError(f"{path} is a broken zip archive: {one_line(error)}") from error

    def read(name: str, limit: int) -> bytes:
        try:
            info = archive.getinfo(name)
        except KeyError:
            raise FormatError(f"{path} has no {shown(name)} in it") from None
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError(f"{path}: {shown(name)} is encrypted, or packed in a way other than deflate")
        try:
            with archive.open(info) as member:
                return _within(member.read(limit + 1), limit, f"{path}: {shown(name)}")
        except _BROKEN as error:
            raise FormatError(f"{path}: {shown(name)} is broken: {one_line(error)}") from error

    with archive:
        yield read


def holds(path: Path, name: str) -> bool:
    """Whether a file is a zip archive with such a member."""
    if not _short_directory(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return name in archive.namelist()
    except _BROKEN:
        return False


def parse(data: bytes, what: str) -> dict[str, Any]:
    """The object in a JSON text; FormatError if there is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON: {one_line(error)}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{what} is JSON, but no object")
    return value


def shown(value: object) -> str:
    """A value from a file, on one line and of bounded length."""
    text = ascii(value)
    return text if len(text) <= 40 else text[:40] + "..."


def one_line(error: BaseException) -> str:
    """The message of an exception, in one line."""
    return " ".join(str(error).split())[:200]


def _within(data: bytes, limit: int, what: str) -> bytes:
    if len(data) > limit:
        raise FormatError(f"{what} holds more than the {limit} bytes that it can need")
    return data


def _short_directory(path: Path) -> bool:
    """Whether a file ends like a zip archive with a short directory."""
    with path.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - 65536 - 22 - _LOCATOR_BYTES))
        tail = handle.read()
    at = tail.rfind(_DIRECTORY_END)
    if at < 0 or at + 20 > len(tail) or tail.startswith(_LOCATOR, max(0, at - _LOCATOR_BYTES)):
        return False
    return struct.unpack_from("<I", tail, at + 12)[0] <= _MOST_DIRECTORY_BYTES
