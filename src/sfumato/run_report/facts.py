"""Data of a run folder for its report; all of it is untrusted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.errors import ConfigError, FormatError
from sfumato.evaluation.chart import read_events
from sfumato.runs.folder import RunFolder
from sfumato.runs.run_options import RunOptions
from sfumato.runs.tables import read_table

# Largest number of views shown.
MOST_SHOWN = 200
# Integers in JSON may exceed the range of float.
_MOST = 1e300


@dataclass(frozen=True)
class ViewFigures:
    """Quality of one held-out view; None: not measured."""

    name: str
    psnr: float | None
    ssim: float | None


@dataclass(frozen=True)
class RunFacts:
    """Data of a run.

    Attributes:
        folder: of the run.
        options: of the run.
        config: the rest of ``config.json``: sizes and versions.
        metrics: ``metrics.json``, or empty.
        events: lines of ``events.jsonl``.
        sfm: ``sfm.json`` of its dataset; empty if cameras were given.
        envelope: ``envelope.json``, or empty.
    """

    folder: RunFolder
    options: RunOptions
    config: dict[str, Any]
    metrics: dict[str, Any]
    events: Sequence[dict[str, float]]
    sfm: dict[str, Any]
    envelope: dict[str, Any]

    @property
    def views(self) -> list[ViewFigures]:
        """The held-out views."""
        rows = table(self.metrics, "test").get("views")
        return [
            ViewFigures(str(row.get("name", ""))[:200], number(row, "psnr"), number(row, "ssim"))
            for row in (rows if isinstance(rows, list) else [])[:MOST_SHOWN]
            if isinstance(row, dict)
        ]

    def named(self, key: str) -> list[tuple[str, str]]:
        """(name, reason) of pictures in ``sfm.json`` under "missing" or "left_out"."""
        rows = self.sfm.get(key)
        return [
            (str(row.get("name", ""))[:200], str(row.get("reason", ""))[:300])
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict)
        ]


def read_facts(folder: RunFolder) -> RunFacts:
    """Read the data of a run folder.

    Args:
        folder: of the run.

    Raises:
        ConfigError: the folder has no run.
        FormatError: its options are damaged.
    """
    options = folder.read_options()
    return RunFacts(
        folder=folder,
        options=options,
        config=_optional(folder.config),
        metrics=folder.read_metrics(),
        events=read_events(folder.events) if folder.events.exists() else [],
        sfm=_optional(options.data / "sfm.json"),
        envelope=_optional(folder.envelope),
    )


def _optional(path: Path) -> dict[str, Any]:
    with suppress(ConfigError, FormatError):
        return read_table(path) if path.is_file() else {}
    return {}


def table(facts: dict[str, Any], key: str) -> dict[str, Any]:
    """A table in a table; empty if there is none."""
    found = facts.get(key)
    return found if isinstance(found, dict) else {}


def number(facts: dict[str, Any], key: str) -> float | None:
    """A finite number in a table; None if there is none."""
    value = facts.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _MOST:
        return None
    return float(value)
