"""The result of a reader of point clouds: the declared number of points, and the points in pieces."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.errors import FormatError
from sfumato.extras import extra_module
from sfumato.splatting.measured import MeasuredCloud

# Points per piece.
PIECE_POINTS = 250_000


@dataclass(frozen=True)
class CloudFile:
    """A file of measured points.

    Attributes:
        kind: name of the format in messages.
        count: number of points declared by the file; None if unknown before reading.
        pieces: yields the points in pieces of bounded size; raises FormatError if the file is damaged.
    """

    kind: str
    count: int | None
    pieces: Callable[[], Generator[MeasuredCloud, None, None]]


def optional(module: str, extra: str, path: Path) -> Any:
    """Import an optional package.

    Args:
        module: name of the package.
        extra: of sfumato that installs it.
        path: the file that needs it, for the error.

    Raises:
        FormatError: it is not installed.
    """
    return extra_module(module, extra, path, FormatError)
