"""Stages with result files: completed ones are skipped while their inputs are unchanged."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sfumato.json_files import read_json
from sfumato.outputs import write_json
from sfumato.sfm.stage_files import digest, files_of, flush, is_sound

_log = logging.getLogger("sfumato")

_MAX_BYTES = 64 << 20


class Stages:
    """The record of what has been done in a folder, and by what its files are known.

    Args:
        path: of the record, a JSON file.
        folder: that holds whatever the stages make; by default the record's.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self._path, self._folder = path, folder or path.parent
        self._done: dict[str, dict[str, Any]] = _read(path)
        self._met: list[str] = []
        self._key = ""

    def run(
        self,
        name: str,
        made_from: object,
        work: Callable[[bool], object],
        makes: Sequence[Path] = (),
        changes: Sequence[Path] = (),
    ) -> bool:
        """Do a stage, unless it was done with the same input after the same earlier stages and is whole.

        Args:
            name: of the stage.
            made_from: everything its result depends on besides the stages before it; plain values.
            work: does it; called with True where an interrupted one of the same input may be continued.
            makes: files and folders it leaves. They are on the disk before it is done; where one of these
                files is missing or damaged later, the stage is done again from its beginning.
            changes: files of earlier stages that it changes; they stay what those stages have made.

        Returns:
            Whether it was done now.
        """
        text = json.dumps([self._key, name, made_from], sort_keys=True, default=str)
        self._key = hashlib.sha256(text.encode()).hexdigest()
        self._met.append(name)
        known = self._done.get(name, {})
        is_same = known.get("key") == self._key
        if is_same and "seconds" in known and "files" in known:
            damaged = self._damaged(known["files"])
            if damaged is None:
                return False
            _log.warning("%s is damaged or missing; its stage %r is done again", damaged, name)
            is_same = False
        # Stages come in order, so what follows a stage that is done again is no longer valid.
        self._done = {met: self._done[met] for met in self._met[:-1]} | {name: {"key": self._key}}
        self._note(changes, lambda _: None)
        write_json(self._path, self._done)
        began = time.monotonic()
        work(is_same)
        seconds = round(time.monotonic() - began, 2)
        made = files_of(makes)
        flush([*made, *changes])
        self._done[name]["files"] = {self._name(path): digest(path) for path in made}
        self._note(changes, digest)
        self._done[name]["seconds"] = seconds
        write_json(self._path, self._done)
        return True

    def forget(self, name: str) -> None:
        """Take a stage for not done, and so those after it."""
        self._done.pop(name, None)

    @property
    def seconds(self) -> dict[str, float]:
        """How long each finished stage took when it was done."""
        return {name: known["seconds"] for name, known in self._done.items() if "seconds" in known}

    def _damaged(self, files: Mapping[str, str | None]) -> Path | None:
        """The first of a stage's files that is not as it was left."""
        for name, known in files.items():
            path = self._folder / name
            # Nothing else is known of a database that a later stage was changing when it was interrupted.
            if not (is_sound(path) if known is None else digest(path) == known):
                return path
        return None

    def _note(self, paths: Sequence[Path], state: Callable[[Path], str | None]) -> None:
        """Set by what files of earlier stages are known."""
        for name, path in ((self._name(path), path) for path in paths):
            for known in self._done.values():
                if name in known.get("files", {}):
                    known["files"][name] = state(path)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def fingerprint(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Name, bytes and time of change of files, by which a changed one is known."""
    found = []
    for path in files:
        state = path.stat()
        found.append((str(path), state.st_size, state.st_mtime_ns))
    return sorted(found)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The record; an unreadable one means that nothing is done."""
    with suppress(OSError, ValueError):
        value = read_json(path, _MAX_BYTES)
        if isinstance(value, dict) and all(_is_entry(entry) for entry in value.values()):
            return value
    return {}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.get("seconds", 0.0), int | float)
        and isinstance(entry.get("files", {}), dict)
    )
