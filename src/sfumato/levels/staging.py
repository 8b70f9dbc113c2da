"""A temporary folder for the files of a scene, until all of them are written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sfumato.outputs import write_error


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary folder beside a file, which is removed at the end.

    Args:
        path: the file; its folder is created.

    Raises:
        SfumatoError: instead of an OSError of the block, in one line.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".levels-", dir=path.parent))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise write_error(path, error) from error
