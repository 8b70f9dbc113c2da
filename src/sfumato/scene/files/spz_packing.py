"""Compressed streams: bounded decompression, and parallel compression."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from types import ModuleType

from sfumato.errors import FormatError
from sfumato.extras import extra_module

GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 256 * 1024
# Deflate's last block, empty.
_DEFLATE_END = zlib.compressobj(wbits=-15).flush()
# Higher levels take several times as long and save a few per cent of the size.
_ZSTD_LEVEL = 9


class Plain:
    """Bytes of a file as they are."""

    def __init__(self, path: Path, handle: BufferedReader) -> None:
        self._path, self._handle = path, handle

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; FormatError if the file is shorter."""
        return exactly(self._path, self._handle.read(size), size)

    def rest(self, limit: int) -> bytes:
        """The remaining bytes; FormatError if these are more than ``limit``."""
        return no_more(self._path, self._handle.read(limit + 1), limit)


class Gzip:
    """The content of a gzip file, decompressed on demand."""

    def __init__(self, path: Path, handle: BufferedReader) -> None:
        self._path, self._handle = path, handle
        self._inflater = zlib.decompressobj(31)

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; FormatError if the file is shorter or broken."""
        return exactly(self._path, self._inflate(size), size)

    def rest(self, limit: int) -> bytes:
        """The remaining bytes, after verifying the checksum; FormatError if more than ``limit``."""
        left = no_more(self._path, self._inflate(limit + 1), limit)
        if not self._inflater.eof:
            raise FormatError(f"{self._path} is truncated: its gzip stream does not end")
        return left

    def _inflate(self, size: int) -> bytes:
        pieces, missing = [], size
        try:
            while missing and not self._inflater.eof:
                packed = self._inflater.unconsumed_tail or self._handle.read(_PIECE_BYTES)
                piece = self._inflater.decompress(packed, missing)
                pieces.append(piece)
                missing -= len(piece)
                if not packed and not piece:
                    break
        except zlib.error as error:
            raise FormatError(f"{self._path} has a broken gzip stream: {error}") from error
        return b"".join(pieces)


def gzip_head(head: bytes, size: int) -> bytes:
    """Up to ``size`` bytes of the content of a gzip file that begins with ``head``."""
    try:
        return zlib.decompressobj(31).decompress(head, size)
    except zlib.error:
        return b""


def write_gzip(path: Path, pieces: Iterable[Callable[[], bytes]]) -> None:
    """Write a gzip file of one stream, with pieces created and compressed in parallel.

    Run-length and Huffman coding only: quantised numbers have little other redundancy. The file is as small
    as with zlib's level 6, in a tenth of the time.

    Args:
        path: the file.
        pieces: functions that return the bytes of one piece each, called in any thread.
    """

    def deflated(make: Callable[[], bytes]) -> tuple[bytes, bytes]:
        raw = make()
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
        return raw, deflater.compress(raw) + deflater.flush(zlib.Z_SYNC_FLUSH)

    check, size = 0, 0
    with path.open("wb") as handle:
        handle.write(GZIP_MAGIC + b"\x08\0" + struct.pack("<I", 0) + b"\0\xff")
        for raw, packed in in_threads(deflated, pieces):
            check, size = zlib.crc32(raw, check), size + len(raw)
            handle.write(packed)
        handle.write(_DEFLATE_END + struct.pack("<II", check, size % 2**32))


def zstd_pieces(path: Path, packed: bytes, sizes: Iterator[int], total: int) -> Iterator[bytes]:
    """Decompress one Zstandard stream in pieces.

    Args:
        path: named in errors.
        packed: the stream.
        sizes: of the pieces, which add up to ``total``.
        total: exact number of bytes that it must hold.
    """
    zstandard = zstd_module(path)
    try:
        # The window is bounded by the size of the stream; writers use 8 MiB for small ones.
        window = min(max(1 << 23, 1 << total.bit_length()), 1 << 27)
        with zstandard.ZstdDecompressor(max_window_size=window).stream_reader(packed) as reader:
            for size in sizes:
                yield exactly(path, reader.read(size), size)
            no_more(path, reader.read(1), 0)
    except zstandard.ZstdError as error:
        raise FormatError(f"{path} has a broken Zstandard stream: {error}") from error


def zstd_packed(pieces: Iterable[Callable[[], bytes]], total: int) -> bytes:
    """One Zstandard stream of ``total`` bytes that are generated piece by piece."""
    packer = zstd_module("a file of version 4").ZstdCompressor(level=_ZSTD_LEVEL).compressobj(size=total)
    return b"".join([*(packer.compress(make()) for make in pieces), packer.flush()])


def zstd_module(what: Path | str) -> ModuleType:
    """The package ``zstandard``; ConfigError with what to install if it is missing."""
    return extra_module("zstandard", "spz", what)


def in_threads(function: Callable, items: Iterable) -> Iterator:
    """``map`` over a few threads, in order; compression and numpy release the GIL."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting = []
        for item in items:
            waiting.append(pool.submit(function, item))
            # A few pieces ahead keep all threads busy; more would only use memory.
            if len(waiting) > 2 * workers:
                yield waiting.pop(0).result()
        for result in waiting:
            yield result.result()


def exactly(path: Path, data: bytes, size: int) -> bytes:
    """``data``, or FormatError if it is shorter than ``size``."""
    if len(data) != size:
        raise FormatError(f"{path} is truncated: it ends before all its Gaussians")
    return data


def no_more(path: Path, data: bytes, limit: int) -> bytes:
    """``data``, or FormatError if it is longer than ``limit``."""
    if len(data) > limit:
        raise FormatError(f"{path} holds more than its header declares")
    return data
