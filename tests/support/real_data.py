"""Real data: in the folder ``SFUMATO_DATA``, else in ``shared/data`` beside the repository."""

import os
from pathlib import Path

import pytest

from repository import ROOT

DATA = Path(os.environ.get("SFUMATO_DATA") or ROOT.parent / "shared" / "data")
SPLATS = DATA / "splats"


def real_data(name: str) -> Path:
    """A file or folder of real data; the test is skipped if it is missing."""
    if not (DATA / name).exists():
        pytest.skip(f"real data {name!r} is not on this machine; set SFUMATO_DATA to the folder of datasets")
    return DATA / name


def real_splats(name: str) -> Path:
    """A scene file of another tool; the test is skipped if all of them are missing."""
    real_data(SPLATS.name)
    return SPLATS / name
