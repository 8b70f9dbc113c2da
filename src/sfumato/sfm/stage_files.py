"""Result files of stages: flushed to disk, and identified by content."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sfumato.errors import SfumatoError
from sfumato.outputs import write_error

_CHUNK_BYTES = 1 << 20
_DATABASE = ".db"
# Suffixes of the files that SQLite leaves beside a database when its process is killed.
_BESIDE = ("-wal", "-shm", "-journal")
_PROBE_BYTES = 1 << 20
# Messages of SQLite, COLMAP and the system for a full disk.
_FULL = ("disk is full", "no space left", "quota exceeded", "no registered database factory")


def files_of(places: Iterable[Path]) -> list[Path]:
    """The files among some paths, and those in the folders among them."""
    found: list[Path] = []
    for place in places:
        found += (path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    return sorted(found)


def digest(path: Path) -> str | None:
    """Digest of a file; None if it is missing or damaged.

    For a database it is of the rows: COLMAP changes a counter in the file whenever it opens it.
    """
    with suppress(OSError, sqlite3.Error, UnicodeError):
        return _of_rows(path) if path.suffix == _DATABASE else _of_bytes(path)
    return None


def flush(paths: Iterable[Path]) -> None:
    """Flush files, and the folders that contain them, to the disk.

    Raises:
        SfumatoError: they cannot be flushed.
    """
    paths = list(paths)
    for path in paths:
        # A link to the user's picture may be read-only, and was not written here.
        with suppress(PermissionError):
            _flush(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    if sys.platform != "win32":
        for folder in sorted({folder for path in paths for folder in (path.parent, path.parent.parent)}):
            _flush(folder, os.O_RDONLY)


def is_sound(database: Path) -> bool:
    """Whether a database exists and SQLite finds no damage; its content is not checked.

    Raises:
        SfumatoError: the disk is full, so that it cannot be checked.
    """
    try:
        with opened(database) as found:
            # With a damaged header only writing may fail.
            found.execute("BEGIN")
            found.execute("CREATE TABLE written (word)")
            found.execute("ROLLBACK")
            return found.execute("PRAGMA integrity_check(1)").fetchone() == (b"ok",)
    except sqlite3.Error as error:
        if database.is_file() and is_full(database.parent, str(error)):
            raise no_space(database.parent) from error
        return False


def remove_database(path: Path) -> None:
    """Remove a database and the files of a killed process beside it, which would corrupt the next one."""
    for end in ("", *_BESIDE):
        path.with_name(path.name + end).unlink(missing_ok=True)


@contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing database; texts are bytes, and transactions are committed."""
    if not database.is_file():
        raise sqlite3.OperationalError(f"{database} does not exist")
    with closing(sqlite3.connect(database, isolation_level=None)) as found:
        found.text_factory = bytes
        # COLMAP's own connections do not wait for the disk at all.
        found.execute("PRAGMA synchronous = NORMAL")
        yield found


@contextmanager
def using(database: Path) -> Iterator[sqlite3.Connection]:
    """Like ``opened``, with errors of one line.

    Raises:
        SfumatoError: the disk is full, or the database is damaged.
    """
    try:
        with opened(database) as found:
            yield found
    except sqlite3.Error as error:
        if is_full(database.parent, str(error)):
            raise no_space(database.parent) from error
        raise SfumatoError(f"{database} cannot be used ({error}); give the same command again") from error


def no_space(folder: Path) -> SfumatoError:
    """The error of a disk that is full."""
    return SfumatoError(
        f"no space left on the disk of {folder}; free some, and give the same command again: it goes on "
        "where it was"
    )


def is_full(folder: Path, words: str) -> bool:
    """Whether work failed because the disk is full.

    Args:
        folder: the output folder.
        words: the error message.
    """
    if any(word in words.lower() for word in _FULL):
        return True
    probe = folder / f".{os.getpid()}.part"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
        return False
    except OSError:
        return True
    finally:
        with suppress(OSError):
            probe.unlink()


def _of_bytes(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return f"{path.stat().st_size} bytes, sha256 {hasher.hexdigest()}"


def _of_rows(path: Path) -> str | None:
    if not is_sound(path):
        return None
    hasher = hashlib.sha256()
    with opened(path) as found:
        schema = found.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        hasher.update(repr([schema, found.execute("PRAGMA user_version").fetchall()]).encode())
        tables = found.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        for (name,) in tables.fetchall():
            for row in found.execute(f'SELECT * FROM "{name.decode()}" ORDER BY rowid'):
                hasher.update(repr([len(v) if isinstance(v, bytes) else v for v in row]).encode())
                hasher.update(b"".join(value for value in row if isinstance(value, bytes)))
    return f"rows, sha256 {hasher.hexdigest()}"


def _flush(path: Path, how: int) -> None:
    try:
        handle = os.open(path, how)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except PermissionError:
        raise
    except OSError as error:
        raise write_error(path, error) from error
