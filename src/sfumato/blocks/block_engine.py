"""Engines, which train the blocks of a scene: the interface, and the one that trains in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from sfumato.blocks.block_task import BlockOutcome, BlockTask, train_block
from sfumato.display import Display


class BlockEngine(Protocol):
    """Trains blocks.

    Attributes:
        at_once: number of blocks that are trained at the same time.
        memory_bytes: available for one block; None: what is free on this machine.
    """

    @property
    def at_once(self) -> int: ...

    @property
    def memory_bytes(self) -> int | None: ...

    def train(self, tasks: Sequence[BlockTask], display: Display) -> list[BlockOutcome]:
        """Train the blocks; if one fails, the others are still trained.

        Args:
            tasks: the blocks.
            display: shows the progress of all.
        """


class SequentialEngine:
    """Trains one block after another in this process.

    Args:
        device: of the scene.
    """

    at_once = 1
    memory_bytes: int | None = None

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def train(self, tasks: Sequence[BlockTask], display: Display) -> list[BlockOutcome]:
        """As of ``BlockEngine``; a signal stops after the current step."""
        outcomes = []
        for number, task in enumerate(tasks, 1):
            display.set_overall_progress(f"block {number} of {len(tasks)}".format)
            display.say(f"{task.name}: block {number} of {len(tasks)}")
            outcome = train_block(task, display=display, device=self._device)
            outcomes.append(outcome)
            if outcome.state == "failed":
                display.say(f"{task.name} failed: {outcome.words}")
            if outcome.state == "stopped":
                break
        display.set_overall_progress(str)
        return outcomes
