"""Untrusted arrays of NumPy: their shape is looked at before anything is allocated."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from sfumato.errors import CaptureError


def read_npy(path: Path, fits: Callable[[tuple[int, ...]], bool], member: str | None = None) -> np.ndarray:
    """An array of numbers as float64.

    Args:
        path: a ``.npy`` file, or a ``.npz`` archive.
        fits: whether a shape is what is wanted.
        member: name of the array in an archive.

    Raises:
        CaptureError: it is broken, shorter than it says, or holds something else.
    """
    try:
        if member is None:
            with path.open("rb") as file:
                _check_header(file, path.stat().st_size, fits)
            return np.load(path, allow_pickle=False).astype(np.float64)
        name = f"{member}.npy"
        with zipfile.ZipFile(path) as archive, archive.open(name) as inside:
            _check_header(inside, archive.getinfo(name).file_size, fits)
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[member].astype(np.float64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise CaptureError(f"{path} does not hold the array that is wanted: {reason:.200}") from None


def _check_header(file: IO[bytes], num_bytes: int, fits: Callable[[tuple[int, ...]], bool]) -> None:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    if kind.kind not in "fiu" or not fits(shape):
        raise ValueError(f"it is {kind} {list(shape)}")
    if int(np.prod(shape, dtype=object)) * kind.itemsize > num_bytes:
        raise ValueError(f"it is shorter than its shape {list(shape)} says")
