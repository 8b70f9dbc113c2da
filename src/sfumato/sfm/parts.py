"""Partial databases: each worker writes its own, which is merged once complete.

COLMAP locks a database while it writes, so processes cannot share one; and a killed process leaves nothing
half-written in the main database. Rows are copied by SQLite itself: COLMAP's own transactions abort the
process when the disk is full.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from sfumato.outputs import write_error
from sfumato.sfm.stage_files import using

_FEATURES = ("keypoints", "descriptors")
MATCHES = ("matches", "two_view_geometries")
# COLMAP numbers a pair as the smaller number of its pictures times this, plus the larger one.
PAIR_BASE = 2147483647
# Rows of the main database that belong to a part, once its pictures are in it.
_ROWS = {
    "cameras": "camera_id IN (SELECT camera_id FROM main.images)",
    "frame_data": "data_id IN (SELECT image_id FROM main.images)",
    "frames": "frame_id IN (SELECT frame_id FROM main.frame_data)",
    "rigs": "rig_id IN (SELECT rig_id FROM main.frames)",
    "rig_sensors": "rig_id IN (SELECT rig_id FROM main.frames)",
}


class PartialDatabases:
    """Partial databases of one database, in a separate folder.

    Args:
        whole: connection to the main database, used here only.
        file: path of the main database.
        folder: for the parts.
    """

    def __init__(self, whole: sqlite3.Connection, file: Path, folder: Path) -> None:
        self._whole, self._file, self._folder = whole, file, folder
        found = whole.execute("SELECT name, image_id FROM images").fetchall()
        self.ids: dict[str, int] = {name.decode(): number for name, number in found}
        self._numbers = count()

    def cut(self, names: Iterable[str], *, with_features: bool) -> Path:
        """Copy some pictures and their cameras to a new database.

        Args:
            names: of the pictures.
            with_features: copy their features too.

        Returns:
            Its file.
        """
        # A new name each time: files of a killed process may stay locked for a while.
        path = self._folder / f"{next(self._numbers)}.db"
        ids = ", ".join(str(self.ids[name]) for name in names)
        rows = {"images": f"image_id IN ({ids})", **_ROWS}
        rows |= dict.fromkeys(_FEATURES if with_features else (), f"image_id IN ({ids})")
        with closing(sqlite3.connect(path)) as part:
            part.execute("PRAGMA synchronous = OFF")
            self._make_tables(part)
            part.execute("ATTACH ? AS whole", (os.fsencode(self._file),))
            with part:
                for table, which in rows.items():
                    part.execute(f"INSERT INTO {table} SELECT * FROM whole.{table} WHERE {which}")
        return path

    def has_features(self, name: str) -> bool:
        """Whether feature detection has run for a picture, even if it found none."""
        return self._have(_FEATURES, "image_id", self.ids[name])

    def is_compared(self, first: str, second: str) -> bool:
        """Whether two pictures were matched and verified."""
        return self._have(MATCHES, "pair_id", self._pair(first, second))

    def take_features(self, path: Path, names: Iterable[str]) -> None:
        """Copy the features of pictures from a part to the whole; the part is removed."""
        # A picture that COLMAP cannot read has no features.
        self._take(path, _FEATURES, "image_id", [self.ids[name] for name in names])

    def take_matches(self, path: Path, pairs: Iterable[Sequence[str]]) -> None:
        """Copy the matches of pairs from a part to the whole; the part is removed."""
        self._take(path, MATCHES, "pair_id", [self._pair(first, second) for first, second in pairs])

    def _take(self, path: Path, tables: Sequence[str], key: str, numbers: Sequence[int]) -> None:
        """Copy the rows with some keys that are present in all of the tables of a part."""
        which = f"{key} IN ({', '.join(map(str, numbers))})"
        which += "".join(f" AND {key} IN (SELECT {key} FROM part.{table})" for table in tables)
        self._whole.execute("ATTACH ? AS part", (os.fsencode(path),))
        try:
            self._whole.execute("BEGIN IMMEDIATE")
            try:
                for table in tables:
                    self._whole.execute(
                        f"INSERT OR REPLACE INTO main.{table} SELECT * FROM part.{table} WHERE {which}"
                    )
                self._whole.execute("COMMIT")
            except BaseException:
                if self._whole.in_transaction:
                    self._whole.execute("ROLLBACK")
                raise
        finally:
            self._whole.execute("DETACH part")
        for file in path.parent.glob(f"{path.stem}.*"):
            file.unlink(missing_ok=True)

    def _make_tables(self, part: sqlite3.Connection) -> None:
        """The whole's tables, without rows."""
        for (words,) in self._whole.execute("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"):
            part.execute(words.decode())
        (version,) = self._whole.execute("PRAGMA user_version").fetchone()
        part.execute(f"PRAGMA user_version = {version}")

    def _have(self, tables: Sequence[str], key: str, number: int) -> bool:
        queries = (f"SELECT 1 FROM {table} WHERE {key} = ?" for table in tables)
        return all(self._whole.execute(words, (number,)).fetchone() for words in queries)

    def _pair(self, *names: str) -> int:
        low, high = sorted(self.ids[name] for name in names)
        return PAIR_BASE * low + high


@contextmanager
def parts_of(database: Path, folder: Path) -> Iterator[PartialDatabases]:
    """The parts of a database; their folder is removed at the end of the ``with`` block.

    Args:
        database: open within the block.
        folder: to create; leftovers of an earlier run are removed.

    Raises:
        SfumatoError: the disk is full, or the database is damaged.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        with using(database) as whole:
            yield PartialDatabases(whole, database, folder)
    except OSError as error:
        raise write_error(folder, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
