"""Python code that runs in a separate process, with access to ``support``."""

import os
import subprocess
import sys
from pathlib import Path

from repository import ROOT
from sfumato.ops.cpu.jit import serial_kernel


def printed_by(code: str, folder: Path | None = None, **environment: str) -> str:
    """The output of Python code.

    Args:
        code: may import ``sfumato`` and ``support``.
        folder: working directory.
        environment: variables in addition to those of this process.
    """
    path = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def _halved(x):
    return 0.5 * x


def call_kernel(folder):
    """Load a kernel and call it, and write this process into ``folder``; another process can do it."""
    with (folder / "processes").open("a") as note:
        note.write(f"{os.getpid()}\n")
    assert serial_kernel(_halved)(3.0) == 1.5
