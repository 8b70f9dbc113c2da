"""Refusal to replace existing files without ``--overwrite``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.runs.folder import RunFolder


def refuse_to_replace(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse existing paths, unless ``overwrite`` is set.

    Raises:
        ConfigError: a path exists; the message names the first one.
    """
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        raise ConfigError(f"{there[0]} exists; give --overwrite to replace it, or another name")


def metrics_beside(out: Path, kind: str, *, overwrite: bool) -> Path:
    """Path for the metrics of an output: ``metrics.json`` in its folder.

    A metrics file of an earlier output of the same command may be replaced, any other may not.

    Args:
        out: the output, which must not exist either.
        kind: value of ``kind`` in the metrics files of this command.
        overwrite: allow both to be replaced in any case.

    Raises:
        ConfigError: one of them exists.
    """
    folder = RunFolder(out.parent)
    is_own = folder.read_metrics().get("kind") == kind
    refuse_to_replace([out] if is_own else [out, folder.metrics], overwrite=overwrite)
    return folder.metrics
