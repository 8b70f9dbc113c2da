"""What a scene file format has to offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sfumato.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Codec:
    """One scene file format.

    Attributes:
        name:       what messages call it.
        suffixes:   file name endings it is saved under, lower case; the first is the usual one.
        recognises: whether the first bytes of a file (64 at least, unless it is shorter) are its own.
        load:       read a file; raises FormatError for anything it cannot use.
        save:       write a temporary file given by path; the caller renames it.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    load: Callable[[Path], Gaussians]
    save: Callable[[Gaussians, Path], None]
