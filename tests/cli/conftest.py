"""A tiny dataset for tests of the command line."""

import pytest

from support.desk import Desk


@pytest.fixture
def desk(data, tmp_path, capsys):
    return Desk(data, tmp_path / "run", capsys)
