"""Untrusted NumPy files: shapes and types are checked before anything is allocated."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

# Whether a shape and a dtype are the expected ones.
Fits = Callable[[tuple[int, ...], "np.dtype[Any]"], bool]


def read_array(path: Path, fits: Fits, member: str | None = None) -> np.ndarray:
    """Read an array from a file, in the dtype that is stored.

    Args:
        path: a ``.npy`` file, or a ``.npz`` archive.
        fits: whether its shape and dtype are the expected ones.
        member: name of the array in an archive.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or of another size, shape or dtype; the message is one line.
    """
    try:
        if member is None:
            with path.open("rb") as file:
                return array_in(file, path.stat().st_size, fits)
        with zipfile.ZipFile(path) as archive:
            if f"{member}.npy" not in archive.namelist():
                raise ValueError(f"it has no array {member!r}")
            with archive.open(f"{member}.npy") as file:
                return array_in(file, archive.getinfo(f"{member}.npy").file_size, fits)
    except (EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_arrays(path: Path, wanted: Mapping[str, tuple[type, int]]) -> dict[str, np.ndarray]:
    """Read arrays with given types and numbers of dimensions from a ``.npz`` archive.

    Args:
        path: the archive.
        wanted: type and number of dimensions of each, by name.

    Raises:
        OSError: the file cannot be read.
        ValueError: one is missing, damaged or of another type; the message is one line.
    """
    found = {}
    for name, (kind, dimensions) in wanted.items():
        try:
            found[name] = read_array(path, _of(kind, dimensions), name)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return found


def _of(wanted: type, dimensions: int) -> Fits:
    return lambda shape, kind: kind == wanted and len(shape) == dimensions


def names_in(path: Path) -> list[str]:
    """Names of the arrays in a ``.npz`` archive.

    Raises:
        OSError, ValueError: as of ``read_array``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def array_in(file: IO[bytes], num_bytes: int, fits: Fits) -> np.ndarray:
    """Read an array from an open ``.npy`` file of a known size, as ``read_array`` does."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, kind = read(file)
    if kind.hasobject or not fits(shape, kind):
        raise ValueError(f"it is {kind} {list(shape)}")
    if math.prod(shape) * kind.itemsize != num_bytes - file.tell():
        raise ValueError(f"it has another size than its shape {list(shape)} says")
    content = file.read()
    if len(content) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"it is shorter than its shape {list(shape)} says")
    return np.frombuffer(content, kind).reshape(shape, order="F" if is_fortran else "C").copy()
