"""A user with a tiny dataset; its builders are shared with the tests of captures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "capture"))


@pytest.fixture
def desk(tmp_path, capsys):
    from capture_folders import colmap_folder
    from desk import Desk

    return Desk(colmap_folder(tmp_path / "data"), tmp_path / "run", capsys)
