"""The interface of a scene file format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sfumato.scene.scene import Scene


@dataclass(frozen=True)
class Codec:
    """One scene file format.

    Attributes:
        name:       what messages call it.
        suffixes:   file name endings it is saved under, lower case; the first is the usual one.
        recognises: whether a file is its own, by its first bytes (``HEAD_BYTES``, or all of a shorter
            one) and, for formats that begin like another or like anything, by its path. Must not raise
            anything but OSError, and must not read more than its bounded share of the file.
        load:       read a file; raises FormatError for anything it cannot use, but for single values: of
            those ``values.checked`` judges.
        save:       write a temporary file given by path, whose caller renames it; None for a format
            that is only read. Called with those of ``options`` that were given, by name.
        options:    names of the keyword arguments of ``save``.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes, Path], bool]
    load: Callable[[Path], Scene]
    save: Callable[..., None] | None
    options: tuple[str, ...] = ()
