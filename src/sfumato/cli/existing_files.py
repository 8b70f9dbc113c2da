"""What a command would replace is refused, unless it is told to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.runs.folder import RunFolder


def refuse_to_replace(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse names that are taken.

    Raises:
        ConfigError: naming the first one; not with ``overwrite``.
    """
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        raise ConfigError(f"{there[0]} exists; give --overwrite to replace it, or another name")


def metrics_beside(out: Path, kind: str, *, overwrite: bool) -> Path:
    """Where the figures of an output go: ``metrics.json`` in its folder.

    Those of an earlier output of the same command are replaced, those of anything else are not.

    Args:
        out: the output, which must not be there either.
        kind: what the file's ``kind`` says.
        overwrite: replace both whatever they are.

    Raises:
        ConfigError: one of them is there.
    """
    folder = RunFolder(out.parent)
    is_own = folder.read_metrics().get("kind") == kind
    refuse_to_replace([out] if is_own else [out, folder.metrics], overwrite=overwrite)
    return folder.metrics
