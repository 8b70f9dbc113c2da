"""Arrays of numbers in datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sfumato.errors import CaptureError
from sfumato.npy_files import read_array


def read_numbers(
    path: Path, fits: Callable[[tuple[int, ...]], bool], member: str | None = None
) -> np.ndarray:
    """An array of numbers as float64.

    Args:
        path: a ``.npy`` file, or a ``.npz`` archive.
        fits: whether a shape is acceptable.
        member: name of the array in an archive.

    Raises:
        CaptureError: it is broken, of another size than declared, or has another shape or type.
    """
    try:
        found = read_array(path, lambda shape, kind: kind.kind in "fiu" and fits(shape), member)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CaptureError(f"{path} does not hold the array that is wanted: {reason:.200}") from None
    return found.astype(np.float64)
