"""Feature matching with geometric verification."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sfumato import machine
from sfumato.sfm.features import chunks
from sfumato.sfm.parts import MATCHES, PartialDatabases, parts_of
from sfumato.sfm.progress import Progress
from sfumato.sfm.stage_files import using
from sfumato.sfm.worker_pool import Job, WorkerPool

# Pairs per job, small enough that no process is idle for long at the end.
_FEWEST_PAIRS, _MOST_PAIRS, _SHARES = 12, 64, 4
# COLMAP prepares each picture of a job once, so the pairs of a job come from tiles of this many pictures.
_TILE = 8
# Time-out per pair, many times the usual duration.
_ALLOWED_S = 3.0

Names = tuple[str, str]


def match(
    database: Path,
    pairs: Sequence[Names],
    folder: Path,
    report: Progress,
    seed: int,
    tolerance_px: float,
    until_s: float = math.inf,
) -> None:
    """Match and verify every pair that is not in the database yet, within the time budget.

    Args:
        database: with features.
        pairs: names of the pictures, the most important pairs first.
        folder: for partial databases.
        report: called with the number of pairs that are done.
        seed: of RANSAC.
        tolerance_px: inlier threshold of the two-view geometry.
        until_s: deadline by the monotonic clock, after which no more than the first half of the pairs is
            matched.
    """
    folder = folder / "parts"
    with parts_of(database, folder) as parts, WorkerPool(machine.cores(), folder) as pool:
        missing = [pair for pair in pairs if not parts.is_compared(*pair)]
        done = len(pairs) - len(missing)
        report(done, len(pairs))
        share = len(missing) // (_SHARES * machine.cores())
        size = min(max(share, _FEWEST_PAIRS), _MOST_PAIRS)

        def jobs() -> Iterator[Job]:
            for number, part in enumerate(_in_rounds(missing, until_s)):
                for chunk in chunks(in_tiles(part), size):
                    if number and time.monotonic() > until_s:
                        return
                    yield _job(parts, chunk, seed, tolerance_px)

        for request in pool.results(jobs()):
            parts.take_matches(Path(request["database"]), request["pairs"])
            done += len(request["pairs"])
            report(done, len(pairs))


def _in_rounds(pairs: list[Names], until_s: float) -> list[list[Names]]:
    """Pairs in one round if there is time for all of them; else in two, the most important first."""
    if math.isinf(until_s):
        return [pairs]
    edges = [0, len(pairs) // 2, 3 * len(pairs) // 4, len(pairs)]
    return [pairs[start:end] for start, end in itertools.pairwise(edges)]


def in_tiles(pairs: Sequence[Names]) -> list[Names]:
    """Pairs ordered so that consecutive ones involve few pictures."""
    places = {name: place for place, name in enumerate(sorted({name for pair in pairs for name in pair}))}
    return sorted(pairs, key=lambda pair: ([places[name] // _TILE for name in pair], pair))


def _job(parts: PartialDatabases, pairs: list[Names], seed: int, tolerance_px: float) -> Job:
    """The job that matches some pairs."""

    def prepare() -> dict[str, Any]:
        part = parts.cut(sorted({name for pair in pairs for name in pair}), with_features=True)
        options = {"seed": seed, "tolerance_px": tolerance_px}
        return {"work": "match", "database": str(part.resolve()), "pairs": pairs, **options}

    what = f"matching {len(pairs)} pairs, {' with '.join(pairs[0])} to {' with '.join(pairs[-1])},"
    return Job(what, prepare, _ALLOWED_S * len(pairs))


def forget_matches(database: Path) -> None:
    """Remove all matches and two-view geometries."""
    with using(database) as found:
        for table in MATCHES:
            found.execute(f"DELETE FROM {table}")


def are_all_compared(database: Path, count: int) -> bool:
    """Whether all pairs of ``count`` pictures have been matched."""
    with using(database) as found:
        (compared,) = found.execute("SELECT count(*) FROM matches").fetchone()
    return compared >= count * (count - 1) // 2
