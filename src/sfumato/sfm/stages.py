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
    """The record of finished stages in a folder, with the digests of their files.

    Args:
        path: of the record, a JSON file.
        folder: of the stages' results; by default that of the record.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self._path, self._folder = path, folder or path.parent
        self._done: dict[str, dict[str, Any]] = _read(path)
        self._names: list[str] = []
        self._key = ""

    def run(
        self,
        name: str,
        made_from: object,
        work: Callable[[bool], object],
        makes: Sequence[Path] = (),
        changes: Sequence[Path] = (),
    ) -> bool:
        """Run a stage, unless it has run with the same input after the same stages and its files are intact.

        Args:
            name: of the stage.
            made_from: everything its result depends on except earlier stages; plain values.
            work: runs it; called with True if an interrupted run of the same input may be continued.
            makes: files and folders that it writes. They are flushed to the disk before the stage counts as
                done; if one of these files is missing or damaged later, the stage runs again from its start.
            changes: files of earlier stages that it changes; they remain results of those stages.

        Returns:
            Whether it ran now.
        """
        text = json.dumps([self._key, name, made_from], sort_keys=True, default=str)
        self._key = hashlib.sha256(text.encode()).hexdigest()
        self._names.append(name)
        known = self._done.get(name, {})
        is_same = known.get("key") == self._key
        if is_same and "seconds" in known and "files" in known:
            damaged = self._damaged(known["files"])
            if damaged is None:
                return False
            _log.warning("%s is damaged or missing; its stage %r is done again", damaged, name)
            is_same = False
        # Stages run in order, so the results of stages after a repeated one are no longer valid.
        self._done = {met: self._done[met] for met in self._names[:-1]} | {name: {"key": self._key}}
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
        """Mark a stage, and those after it, as not done."""
        self._done.pop(name, None)

    @property
    def seconds(self) -> dict[str, float]:
        """Duration of each finished stage."""
        return {name: known["seconds"] for name, known in self._done.items() if "seconds" in known}

    def _damaged(self, files: Mapping[str, str | None]) -> Path | None:
        """The first of a stage's files that is missing or changed."""
        for name, known in files.items():
            path = self._folder / name
            # Without a digest: a later stage was interrupted while it changed this database.
            if not (is_sound(path) if known is None else digest(path) == known):
                return path
        return None

    def _note(self, paths: Sequence[Path], state: Callable[[Path], str | None]) -> None:
        """Update the digests of files of earlier stages."""
        for name, path in ((self._name(path), path) for path in paths):
            for known in self._done.values():
                if name in known.get("files", {}):
                    known["files"][name] = state(path)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def fingerprint(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Name, size and modification time of files, to detect changes."""
    found = []
    for path in files:
        state = path.stat()
        found.append((str(path), state.st_size, state.st_mtime_ns))
    return sorted(found)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The record; empty if it cannot be read."""
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
