"""What a reader of a cloud's file gives: how many points it declares, and the points in pieces."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.errors import FormatError
from sfumato.splatting.measured import MeasuredCloud

# Points that readers hold at a time.
PIECE_POINTS = 250_000


@dataclass(frozen=True)
class CloudFile:
    """A file of measured points.

    Attributes:
        kind: what messages call the format.
        count: points that the file declares; None where only reading it tells.
        pieces: gives the points, a bounded number at a time; raises FormatError where the file is damaged.
    """

    kind: str
    count: int | None
    pieces: Callable[[], Generator[MeasuredCloud, None, None]]


def optional(module: str, extra: str, path: Path) -> Any:
    """A package that only some installations have.

    Args:
        module: its name.
        extra: of this package, which installs it.
        path: the file that needs it, for the error.

    Raises:
        FormatError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise FormatError(
            f"{path} needs the package {module}, which is not installed; run: pip install 'sfumato[{extra}]'"
        ) from None
