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
        name:       used in messages.
        suffixes:   file name endings, lower case; the first is the usual one.
        recognises: whether a file is of this format, by its first bytes (``HEAD_BYTES``, or all of a shorter
            one) and, for formats without a unique signature, by its path. Must raise nothing but OSError, and
            read a bounded part of the file at most.
        load:       read a file; raises FormatError for anything unusable, except for single values, which
            ``values.checked`` checks.
        save:       write a temporary file at a path, which the caller renames; None for a format that is
            only read. Called with the given ``options``, by name.
        check:      raises if a package that it needs is not installed; None: it needs none.
        options:    names of the keyword arguments of ``save``.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes, Path], bool]
    load: Callable[[Path], Scene]
    save: Callable[..., None] | None
    options: tuple[str, ...] = ()
    check: Callable[[Path], object] | None = None
