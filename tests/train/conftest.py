"""The builders of tiny datasets are shared with the tests of captures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "capture"))
from capture_folders import colmap_folder


@pytest.fixture
def data(tmp_path):
    """A dataset of three tiny photographs."""
    return colmap_folder(tmp_path / "data")
