"""Python subprocesses, which import the same modules as this process and no others."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

# The folder of the package; processes are started in it because it holds no files of the user.
FOLDER = Path(__file__).resolve().parents[1]


def child_command(code: str) -> list[str]:
    """The command of a Python process that runs ``code`` and imports nothing from the current folder.

    ``-I`` makes Python ignore the current folder and environment variables such as PYTHONPATH; the import
    paths of this process and the package's folder are passed on instead.

    Args:
        code: Python source; arguments appended to the command arrive in ``sys.argv[1:]``.
    """
    here = Path.cwd()
    places = [place for place in sys.path if Path(place).is_absolute() and Path(place) != here]
    start = f"import sys; sys.path[:] = {json.dumps([*places, str(FOLDER)])}\n"
    return [sys.executable, "-I", "-c", start + code]


def call_of(function: Callable[[], None]) -> str:
    """Python source that calls a function at the top level of a module."""
    return f"from {function.__module__} import {function.__name__} as function; function()"
