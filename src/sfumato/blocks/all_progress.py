"""The progress of all blocks on one line, read from their run folders."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sfumato.blocks.block_task import BlockTask
from sfumato.display import Display
from sfumato.runs.folder import RunFolder

# The last line of a report file lies within this many bytes of its end.
_TAIL_BYTES = 4096


class AllProgress:
    """Shows the progress of each block, whichever process trains it.

    Args:
        tasks: the blocks.
        display: shows the progress.
    """

    def __init__(self, tasks: Sequence[BlockTask], display: Display) -> None:
        self._tasks, self._display = tasks, display
        self._began_s = time.monotonic()
        self._first: float | None = None
        self._done: set[str] = set()

    def finish(self, name: str) -> None:
        """Note that a block is done."""
        self._done.add(name)

    def of(self, task: BlockTask) -> float:
        """The share of a block that is done, 0 to 1."""
        if task.name in self._done:
            return 1.0
        last, train = last_report(RunFolder(task.folder).events), task.options.train
        if train.steps:
            return min(last.get("step", 0.0) / train.steps, 1.0)
        return min(last.get("seconds", 0.0) / (60 * (train.minutes or 1.0)), 1.0)

    def show(self, workers: int) -> None:
        """Show all blocks, if it is time to.

        Args:
            workers: number of them at present.
        """
        if not self._display.is_due:
            return
        shares = [self.of(task) for task in self._tasks]
        whole = sum(shares) / len(shares)
        if self._first is None:
            self._first = whole
        spent_s, gained = time.monotonic() - self._began_s, whole - self._first
        going = [
            f"{task.name} {share:.0%}"
            for task, share in zip(self._tasks, shares, strict=True)
            if share > 0 and task.name not in self._done
        ]
        self._display.show(
            whole,
            f"{len(self._done)} of {len(shares)} blocks done",
            [f"{workers} worker{'' if workers == 1 else 's'}", *going],
            left_s=(1 - whole) / gained * spent_s if gained > 0 else None,
        )


def last_report(path: Path) -> dict[str, float]:
    """The numbers of the last complete line of a report file; empty if there is none."""
    with suppress(OSError, ValueError, RecursionError), path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = handle.read(_TAIL_BYTES).split(b"\n")[:-1]
        found = json.loads(lines[-1]) if lines else {}
        numbers = found.items() if isinstance(found, dict) else ()
        return {str(key): float(value) for key, value in numbers if isinstance(value, int | float)}
    return {}
