"""Python subprocesses, which import the same modules as this process and no others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Where the package lies: a folder to start processes in that holds nothing of the user's.
FOLDER = Path(__file__).resolve().parents[1]


def child_command(code: str) -> list[str]:
    """How a Python process is started that runs ``code`` and imports nothing from where the user stands.

    ``-I`` keeps Python from looking into the current folder, and into what the environment names; the
    places in which this process looks, and the package's own, are handed on instead.

    Args:
        code: of Python; what follows the command arrives in ``sys.argv[1:]``.
    """
    here = Path.cwd()
    places = [place for place in sys.path if Path(place).is_absolute() and Path(place) != here]
    start = f"import sys; sys.path[:] = {json.dumps([*places, str(FOLDER)])}\n"
    return [sys.executable, "-I", "-c", start + code]
