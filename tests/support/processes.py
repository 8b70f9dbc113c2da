"""Python code that runs in a separate process, with access to ``support``."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from repository import ROOT
from sfumato.ops.cpu import kernel_cache


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


def leave_kernel(folder):
    """Write a kernel into the cache, and this process into ``folder``; another process can call it."""
    with (folder / "processes").open("a") as note:
        note.write(f"{os.getpid()}\n")
    code = b"code"
    kernel_cache.write_bytes(kernel_cache.cache_folder() / "a.nbc", hashlib.sha256(code).digest() + code)
