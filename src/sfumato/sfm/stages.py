"""Stages whose results are files: done ones are skipped while what they are made from is the same."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sfumato.outputs import write_json

_MAX_BYTES = 1 << 20


class Stages:
    """The record of what has been done in a folder.

    Args:
        path: of the record, a JSON file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, dict[str, Any]] = _read(path)
        self._key = ""

    def run(
        self, name: str, made_from: object, work: Callable[[bool], object], makes: Sequence[Path] = ()
    ) -> bool:
        """Do a stage, unless it was done with the same input after the same earlier stages.

        Args:
            name: of the stage.
            made_from: everything its result depends on besides the stages before it; plain values.
            work: does it; called with True where an interrupted one of the same input may be continued.
            makes: files and folders without which it is not done, whatever the record says.

        Returns:
            Whether it was done now.
        """
        text = json.dumps([self._key, name, made_from], sort_keys=True, default=str)
        self._key = hashlib.sha256(text.encode()).hexdigest()
        known = self._done.get(name, {})
        is_same = known.get("key") == self._key
        if is_same and "seconds" in known and all(path.exists() for path in makes):
            return False
        self._forget_from(name)
        self._done[name] = {"key": self._key}
        write_json(self._path, self._done)
        began = time.monotonic()
        work(is_same)
        self._done[name]["seconds"] = round(time.monotonic() - began, 2)
        write_json(self._path, self._done)
        return True

    @property
    def seconds(self) -> dict[str, float]:
        """How long each finished stage took when it was done."""
        return {name: known["seconds"] for name, known in self._done.items() if "seconds" in known}

    def _forget_from(self, name: str) -> None:
        """Stages come in order, so what follows a stage that is done again is no longer valid."""
        names = list(self._done)
        for later in names[names.index(name) :] if name in names else ():
            del self._done[later]


def fingerprint(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Name, bytes and time of change of files, by which a changed one is known."""
    found = []
    for path in files:
        state = path.stat()
        found.append((str(path), state.st_size, state.st_mtime_ns))
    return sorted(found)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The record; an unreadable one means that nothing is done."""
    with suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= _MAX_BYTES:
            value = json.loads(path.read_text("utf-8"))
            if isinstance(value, dict) and all(_is_entry(entry) for entry in value.values()):
                return value
    return {}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.get("seconds", 0.0), int | float)
    )
