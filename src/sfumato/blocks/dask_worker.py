"""The function that a Dask worker runs: one block at a time, with text as input and output.

Only names and paths are sent; the worker reads the data from, and writes its run folder to, the shared
folder.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from sfumato.blocks.block_task import BlockOutcome, from_plain, train_block
from sfumato.errors import SfumatoError

# In the folder of the blocks: while it exists, workers stop after their current step.
STOP_FILE = "stop"
_ASKED_EVERY_S = 0.5
# A worker with several threads trains several blocks in one process, whose kernels would share its threads.
_one_at_a_time = threading.Lock()


def run_block(task: str) -> str:
    """Train a block, or resume it.

    Args:
        task: JSON of ``block_task.to_plain``.

    Returns:
        JSON of a ``BlockOutcome``; nothing is raised.
    """
    from sfumato.ops.backend import device_named

    values = json.loads(task)
    try:
        with _one_at_a_time:
            block = from_plain(values)
            device = device_named(values["device"])
            outcome = train_block(block, device=device, is_stopped=StopCheck(block.folder.parent / STOP_FILE))
    except SfumatoError as error:
        outcome = BlockOutcome(str(values["name"]), "failed", str(error))
    except Exception as error:
        # Sent as text for the driver to report; an exception would be pickled.
        words = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        outcome = BlockOutcome(str(values["name"]), "failed", words)
    return json.dumps(vars(outcome))


class StopCheck:
    """Whether the driver requests a stop; checks the file at most twice a second.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._asked_s, self._is_asked = path, 0.0, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._is_asked and now - self._asked_s >= _ASKED_EVERY_S:
            self._asked_s, self._is_asked = now, self._path.exists()
        return self._is_asked
