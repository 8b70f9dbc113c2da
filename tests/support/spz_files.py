"""`.spz` files put together byte by byte."""

import gzip
import importlib.util
import struct
from pathlib import Path

import pytest

from sfumato.scene.files import spz_fields

needs_zstandard = pytest.mark.skipif(
    importlib.util.find_spec("zstandard") is None, reason="version 4 of .spz needs the package zstandard"
)


def header(version=3, count=2, degree=0, bits=12, flags=0) -> bytes:
    return struct.pack("<4sIIBBBB", b"NGSP", version, count, degree, bits, flags, 0)


def body(version=3, count=2, degree=0) -> bytes:
    """Attributes of equal Gaussians, all bytes 128."""
    return bytes([128]) * (count * sum(spz_fields.widths(version, degree).values()))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data, mtime=0))
    return path
