"""A tiny dataset for tests of the command line."""

import pytest

from support.command_line import CommandLine


@pytest.fixture
def cli(data, tmp_path, capsys):
    return CommandLine(data, tmp_path / "run", capsys)
