"""What tests of several parts need: a tiny dataset, and a user who works on it."""

import pytest

from support.capture_folders import colmap_folder


@pytest.fixture
def data(tmp_path):
    """A dataset of three tiny photographs."""
    return colmap_folder(tmp_path / "data")
