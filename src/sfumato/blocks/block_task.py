"""The training of one block: a task that any process may start, and any other may resume."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from sfumato.display import Display
from sfumato.errors import InUseError, SfumatoError
from sfumato.ops.backend import HOST
from sfumato.outputs import folder_lock
from sfumato.runs.folder import RunFolder
from sfumato.runs.run import run_training
from sfumato.runs.run_options import RunOptions

BLOCK_FILE, INITIAL, SURROUNDINGS = "block.json", "initial.ply", "surroundings.ply"
_LOCKED_EVERY_S = 0.5

State = Literal["done", "failed", "stopped"]


@dataclass(frozen=True)
class BlockTask:
    """Everything a process needs to train a block: paths and options, no data.

    Attributes:
        name: of its folder.
        folder: its run folder, with ``block.json``.
        options: of its run.
        memory_bytes: that it is expected to need.
    """

    name: str
    folder: Path
    options: RunOptions
    memory_bytes: int


@dataclass(frozen=True)
class BlockOutcome:
    """How the training of a block ended.

    Attributes:
        name: of its folder.
        state: its end.
        words: the reason, if it failed.
        signal: that stopped it, or None.
    """

    name: str
    state: State
    words: str = ""
    signal: int | None = None


def is_finished(path: Path, options: RunOptions) -> bool:
    """Whether a run folder holds the result of a run with these options.

    Raises:
        SfumatoError: it holds a run, but its options are damaged.
    """
    folder = RunFolder(path)
    train = folder.read_metrics().get("train")
    if not isinstance(train, dict) or not folder.scene.is_file() or not folder.holds_run():
        return False
    return folder.read_options() == options


def train_block(
    task: BlockTask,
    *,
    display: Display | None = None,
    device: torch.device = HOST,
    is_stopped: Callable[[], bool] = lambda: False,
) -> BlockOutcome:
    """Train a block, or resume where an earlier process stopped; nothing is done if it is finished.

    Waits if another process is still training it, for example one that lost its connection to the scheduler.

    Args:
        task: the block.
        display: shows progress.
        device: of the scene.
        is_stopped: called while waiting, and between steps.

    Returns:
        BlockOutcome. Errors of the input, of options and of the disk are in it.
    """
    while not is_stopped():
        try:
            return _trained(task, display, device, is_stopped)
        except InUseError:
            time.sleep(_LOCKED_EVERY_S)
        except SfumatoError as error:
            return BlockOutcome(task.name, "failed", str(error))
    return BlockOutcome(task.name, "stopped")


def _trained(
    task: BlockTask, display: Display | None, device: torch.device, is_stopped: Callable[[], bool]
) -> BlockOutcome:
    with folder_lock(task.folder, "training into"):
        if is_finished(task.folder, task.options):
            return BlockOutcome(task.name, "done")
    result = run_training(task.folder, task.options, display=display, device=device, is_stopped=is_stopped)
    if result.report is None:
        return BlockOutcome(task.name, "stopped", signal=result.stopped_by)
    return BlockOutcome(task.name, "done")


def to_plain(task: BlockTask) -> dict[str, Any]:
    """A task as plain values, to send to another process."""
    return {
        "name": task.name,
        "folder": str(task.folder),
        "options": task.options.to_plain(),
        "memory_bytes": task.memory_bytes,
    }


def from_plain(values: dict[str, Any]) -> BlockTask:
    """The task from the result of ``to_plain``.

    Raises:
        ConfigError: its options are those of another version.
    """
    folder = Path(values["folder"])
    options = RunOptions.from_plain(values["options"], folder)
    return BlockTask(str(values["name"]), folder, options, int(values["memory_bytes"]))
