"""Runs of the command line in a test folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from sfumato.cli import main

SHORT = ("--steps", "4")


@dataclass
class CommandLine:
    """A dataset, a folder for runs, and the output of the command line."""

    data: Path
    out: Path
    capsys: pytest.CaptureFixture

    def train(self, *options, data=None):
        return main(["train", str(data or self.data), "-o", str(self.out), *map(str, options)])

    def refuses(self, *options, data=None) -> str:
        return self.complains(["train", str(data or self.data), "-o", str(self.out), *map(str, options)])

    def complains(self, argv) -> str:
        self.capsys.readouterr()
        assert main(argv) == 2
        lines = self.capsys.readouterr().err.splitlines()
        errors = [line for line in lines if "warning:" not in line]
        assert len(errors) == 1 and errors[0].startswith("sfumato: error: "), lines
        return errors[0]


def says(line: str, *words: str) -> None:
    missing = [word for word in words if word not in line]
    assert not missing, f"{missing} not in: {line}"
