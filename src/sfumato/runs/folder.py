"""The run folder: layout, locking, and cleaning up after killed runs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato import machine
from sfumato.errors import ConfigError, FormatError
from sfumato.evaluation.chart import read_events
from sfumato.outputs import folder_lock, remove_unfinished, write_error, write_json, write_text
from sfumato.runs.checkpoint import checkpoints, latest_checkpoint
from sfumato.runs.run_options import RunOptions
from sfumato.runs.tables import read_table, with_digest

_log = logging.getLogger("sfumato")


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def scene(self) -> Path:
        return self.path / "scene.ply"

    @property
    def cameras(self) -> Path:
        return self.path / "cameras.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def test_renders(self) -> Path:
        return self.path / "renders" / "test"

    @property
    def sheet(self) -> Path:
        return self.path / "renders" / "contact_sheet.png"

    @property
    def chart(self) -> Path:
        return self.path / "training_chart.png"

    @property
    def page(self) -> Path:
        return self.path / "scene.html"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def envelope(self) -> Path:
        return self.path / "envelope.json"

    @property
    def trust(self) -> Path:
        return self.path / "trust.npz"

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder with results of an unknown run.

        Raises:
            ConfigError: there are such results and neither ``resume`` nor ``overwrite`` is given, or both
                are.
        """
        if resume and overwrite:
            raise ConfigError("--resume and --overwrite exclude each other: give one of them")
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"--out {self.path} is a file; give a folder")
        self.check_own()
        if not resume and not overwrite and not self.holds_run() and any(self._results()):
            raise ConfigError(
                f"{self.path} holds results without {self.config.name}; give --overwrite to replace them, or "
                "another --out"
            )

    def check_own(self) -> None:
        """Refuse symbolic links to outside the folder, before anything in it is written or removed.

        Raises:
            ConfigError: there is one.
        """
        whole = Path(os.path.realpath(self.path))
        for folder in self._folders:
            for path in sorted(folder.glob("*")):
                target = Path(os.path.realpath(path))
                if path.is_symlink() and not target.is_relative_to(whole):
                    raise ConfigError(
                        f"{path} is a symbolic link to {target}, outside the run folder, which would be "
                        "written to; remove it, or give another folder"
                    )

    def holds_run(self) -> bool:
        """Whether there is a run, with or without a checkpoint."""
        return self.config.is_file() or any(checkpoints(self.checkpoints))

    def has_checkpoint(self) -> bool:
        """Whether the run can be resumed; one stopped before its first checkpoint starts again.

        Raises:
            ConfigError: there is a scene without a checkpoint, which starting again would remove.
        """
        if any(checkpoints(self.checkpoints)):
            return True
        if self.scene.exists():
            raise ConfigError(
                f"{self.path} has a scene, but no checkpoint to resume from; give --overwrite to begin "
                "again, or another --out"
            )
        return False

    def lock(self) -> AbstractContextManager[None]:
        """Lock the folder against other processes; the lock ends with this process.

        Raises:
            ConfigError: another process holds it.
        """
        return folder_lock(self.path, "training into")

    def begin(self, options: RunOptions, **facts: object) -> None:
        """Remove results of earlier runs and write ``config.json``.

        Args:
            options: of the run.
            facts: further entries.
        """
        with _writing(self.path):
            for path in self._results():
                path.unlink()
        self._remove_unfinished()
        self.write_config(options, **facts)
        with _writing(self.checkpoints):
            self.checkpoints.mkdir(exist_ok=True)

    def resume(self, options: RunOptions, step: int, **facts: object) -> None:
        """Prepare to resume after ``step`` steps: reports of later steps are dropped."""
        self._remove_unfinished()
        self.write_config(options, **facts)
        if self.events.exists():
            lines = self.events.read_text("utf-8", errors="replace").splitlines()
            write_text(self.events, "".join(f"{line}\n" for line in lines if _is_report_until(line, step)))

    def write_config(self, options: RunOptions, **facts: object) -> None:
        """Write every option with its value, and the versions."""
        document = {"version": 1, "options": options.to_plain(), **facts, "versions": machine.versions()}
        write_json(self.config, with_digest(document))

    def read_options(self) -> RunOptions:
        """The options in ``config.json``; if that is missing or damaged, those in the last checkpoint.

        Raises:
            ConfigError: there is no run here.
            FormatError: the file is damaged, and so is every checkpoint.
        """
        if not self.config.exists() and not any(checkpoints(self.checkpoints)):
            what = "it is a file" if self.path.exists() else "it does not exist"
            what = f"it has no {self.config.name}" if self.path.is_dir() else what
            raise ConfigError(f"{self.path} is not a run folder: {what}; run sfumato train first")
        try:
            return RunOptions.from_plain(read_table(self.config).get("options"), self.config)
        except (ConfigError, FormatError) as error:
            if not any(checkpoints(self.checkpoints)):
                raise
            _log.warning("%s: the options are taken from the last checkpoint", str(error).partition(";")[0])
            return latest_checkpoint(self.checkpoints).options

    def read_metrics(self) -> dict[str, Any]:
        """``metrics.json``; empty if it is missing or damaged."""
        with suppress(ConfigError, FormatError):
            return read_table(self.metrics)
        return {}

    def read_training(self) -> dict[str, Any]:
        """The training entry of ``metrics.json``, from the existing file or else from the reports."""
        found = self.read_metrics().get("train")
        if isinstance(found, dict):
            return found
        events = read_events(self.events) if self.events.exists() else []
        last = events[-1] if events else {}
        return {
            "steps": int(last["step"]) if "step" in last else None,
            "seconds": last.get("seconds"),
            "gaussians": int(last["gaussians"]) if "gaussians" in last else None,
            "peak_memory_bytes": None,
        }

    def _results(self) -> Iterator[Path]:
        files = (
            self.config,
            self.scene,
            self.cameras,
            self.metrics,
            self.events,
            self.sheet,
            self.chart,
            self.page,
            self.report,
            self.envelope,
            self.trust,
        )
        yield from (path for path in files if path.is_file())
        yield from checkpoints(self.checkpoints)
        yield from self.test_renders.glob("*.png")

    @property
    def _folders(self) -> tuple[Path, ...]:
        """Folders to which a run writes."""
        return (self.path, self.checkpoints, self.test_renders.parent, self.test_renders)

    def _remove_unfinished(self) -> None:
        for folder in self._folders:
            remove_unfinished(folder)


class EventLog:
    """``events.jsonl``, one line per report, written immediately.

    Args:
        path: the file, to which lines are appended.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, report: dict[str, float]) -> None:
        """Add a line.

        Raises:
            SfumatoError: the disk is full or the file cannot be written.
        """
        with _writing(self._path), self._path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(report, allow_nan=False) + "\n")


def _is_report_until(line: str, step: int) -> bool:
    with suppress(ValueError, RecursionError, TypeError):
        return json.loads(line)["step"] <= step
    return False


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Convert failures of the file system to one-line errors."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def run_of(path: Path) -> RunFolder | None:
    """The run folder at a path, or of a scene file in one; None for other files and folders."""
    folder = RunFolder(path if path.is_dir() else path.parent)
    is_its = path.is_dir() or path.name == folder.scene.name
    return folder if is_its and folder.config.is_file() else None
