"""Blocks on Dask workers: tasks are resubmitted until each block is done or has failed."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.blocks.all_progress import AllProgress
from sfumato.blocks.block_task import BlockOutcome, BlockTask, to_plain
from sfumato.blocks.dask_client import (
    ClusterSpec,
    Workers,
    connected,
    declared_memory,
    known_workers,
    memory_here,
    one_line,
    start_local,
)
from sfumato.blocks.dask_worker import STOP_FILE, run_block
from sfumato.display import Display
from sfumato.errors import ConfigError, SfumatoError
from sfumato.extras import extra_module
from sfumato.outputs import write_text
from sfumato.runs.interruption import Interruption
from sfumato.training.plan import GIB

if TYPE_CHECKING:
    from distributed import Client, Future
    from typing_extensions import Self

_EVERY_S = 0.2
# A block is resubmitted as long as it makes progress; without progress, this many times.
_MOST_WITHOUT_PROGRESS = 5
# Time-outs: waiting for workers or for a lost scheduler; and for blocks to stop after their step.
_WAIT_S, _STOPPING_S = 120.0, 60.0


class DaskEngine:
    """Trains blocks on workers, as a context.

    Args:
        place: where they are.
        device: name of the device on each worker.
        display: names the scheduler, and says what happens to workers.

    Raises:
        ConfigError: Dask is not installed, or there is no scheduler or worker.
    """

    def __init__(self, place: ClusterSpec, device: str, display: Display) -> None:
        extra_module("distributed", "cluster", "--cluster")
        self._place, self._device, self._display = place, device, display
        self._interruption = Interruption()

    def __enter__(self) -> Self:
        self._local = None if self._place.address else start_local(self._place)
        self._address = self._local.scheduler_address if self._local else str(self._place.address)
        try:
            self._client = connected(self._address)
            self._await_workers()
        except BaseException:
            self.__exit__()
            raise
        there = known_workers(self._client)
        self.at_once = len(there)
        memory = declared_memory(there.values())
        self.memory_bytes = memory_here(len(there)) if self._local else int(min(memory)) if memory else None
        self._display.say(f"{len(there)} workers of {self._address}; {self._client.dashboard_link}")
        return self

    def __exit__(self, *ended: object) -> None:
        with suppress(OSError, AttributeError):
            self._client.close(timeout=5)
        if self._local:
            self._local.close(timeout=10)

    def _await_workers(self) -> None:
        until_s = time.monotonic() + _WAIT_S
        with self._display.waiting(f"waiting for workers of {self._address}"):
            while not known_workers(self._client):
                if time.monotonic() > until_s:
                    raise ConfigError(
                        f"the scheduler at {self._address} has no worker; start one with "
                        f"dask worker {self._address} --nthreads 1"
                    )
                time.sleep(_EVERY_S)

    def train(self, tasks: Sequence[BlockTask], display: Display) -> list[BlockOutcome]:
        """As of ``BlockEngine``; a signal stops all blocks after their current step."""
        if not tasks:
            return []
        folder = tasks[0].folder.parent
        (folder / STOP_FILE).unlink(missing_ok=True)
        workers = Workers(folder, tasks[0].options.data, display)
        dispatcher = _Dispatcher(self._client, tasks, workers, self._device, display)
        with self._interruption, display.live_updates():
            while not dispatcher.is_over and self._interruption.signal is None:
                if not dispatcher.is_connected:
                    dispatcher.client = self._client = self._reconnected(dispatcher)
                dispatcher.advance()
                time.sleep(_EVERY_S)
            if self._interruption.signal is not None:
                dispatcher.stop(folder / STOP_FILE, self._interruption.signal)
        return [dispatcher.outcomes[task.name] for task in tasks]

    def _reconnected(self, dispatcher: _Dispatcher) -> Client:
        """A client of the scheduler, possibly of a new one at the same address."""
        self._display.say(f"the scheduler at {self._address} was lost; waiting for it")
        with suppress(OSError, RuntimeError):
            self._client.close(timeout=1)
        until_s = time.monotonic() + _WAIT_S
        while time.monotonic() < until_s and self._interruption.signal is None:
            with suppress(ConfigError):
                client = connected(self._address)
                self._display.say(f"the scheduler at {self._address} is back")
                return client
            time.sleep(_EVERY_S)
        raise SfumatoError(
            f"the scheduler at {self._address} was lost; {dispatcher.done} of {len(dispatcher.tasks)} "
            "blocks are done and the others have checkpoints; the same command resumes"
        )


class _Dispatcher:
    """Submits tasks and collects their outcomes.

    Attributes:
        client: of the scheduler.
        tasks: all blocks.
        outcomes: of those that are over, by name.
    """

    def __init__(
        self, client: Client, tasks: Sequence[BlockTask], workers: Workers, device: str, display: Display
    ) -> None:
        self.client, self.tasks, self.outcomes = client, tasks, dict[str, BlockOutcome]()
        self._workers, self._device, self._display = workers, device, display
        self._progress = AllProgress(tasks, display)
        self._futures: dict[str, Future] = {}
        self._usable: frozenset[str] = frozenset()
        self._without: dict[str, list[float]] = {}
        self._none_since_s: float | None = None

    @property
    def is_over(self) -> bool:
        return len(self.outcomes) == len(self.tasks)

    @property
    def is_connected(self) -> bool:
        return self.client.status == "running"

    @property
    def done(self) -> int:
        """Number of blocks that are done."""
        return sum(outcome.state == "done" for outcome in self.outcomes.values())

    def advance(self) -> None:
        """Submit the remaining tasks, and collect the finished ones.

        Raises:
            SfumatoError: there has been no usable worker for too long.
        """
        try:
            usable = self._workers.usable(self.client)
        except (OSError, ValueError, RuntimeError):
            return  # The connection broke; ``is_connected`` tells.
        if self._is_waiting_for_workers(usable):
            return
        if self._workers.bad and frozenset(usable) != self._usable:
            self._withdraw_pending()
        self._usable = frozenset(usable)
        for task in self.tasks:
            if task.name not in self.outcomes and task.name not in self._futures:
                self._submit(task, usable)
        for name, future in list(self._futures.items()):
            if future.status != "pending":
                del self._futures[name]
                self._take(next(task for task in self.tasks if task.name == name), future)
        self._progress.show(len(usable))

    def _is_waiting_for_workers(self, usable: dict[str, Any]) -> bool:
        if usable:
            self._none_since_s = None
            return False
        self._none_since_s = self._none_since_s or time.monotonic()
        if time.monotonic() - self._none_since_s > _WAIT_S:
            raise SfumatoError(
                f"there has been no usable worker for {_WAIT_S:.0f} s; {self.done} of "
                f"{len(self.tasks)} blocks are done; start workers and repeat the command"
            )
        return True

    def _withdraw_pending(self) -> None:
        """Withdraw tasks that no worker has started, as the set of usable workers has changed."""
        begun = {key for keys in self.client.processing().values() for key in keys}
        for name, future in list(self._futures.items()):
            if future.status == "pending" and future.key not in begun:
                del self._futures[name]
                future.cancel()

    def _submit(self, task: BlockTask, usable: dict[str, dict[str, Any]]) -> None:
        declared = declared_memory(usable.values())
        if declared and max(declared) < task.memory_bytes:
            words = (
                f"it needs {task.memory_bytes / GIB:.1f} GiB of memory and no worker declares more than "
                f"{max(declared) / GIB:.1f}; give more --blocks, or start larger workers"
            )
            self._end(BlockOutcome(task.name, "failed", words))
            return
        self._futures[task.name] = self.client.submit(
            run_block,
            json.dumps({**to_plain(task), "device": self._device}),
            key=f"{task.name}-{secrets.token_hex(6)}",
            pure=False,
            resources={"MEMORY": task.memory_bytes} if declared else None,
            workers=sorted(usable) if self._workers.bad else None,
        )

    def _take(self, task: BlockTask, future: Future) -> None:
        """Handle the end of a task: its block ended, or its worker did."""
        if future.status == "finished":
            try:
                outcome = BlockOutcome(**json.loads(future.result(timeout=_WAIT_S)))
            except (OSError, ValueError, TypeError):
                return  # The result was lost with its worker: the block is submitted again, and is finished.
            if outcome.state != "stopped":
                self._end(outcome)
            return
        if future.status in ("cancelled", "lost"):
            return
        reached, tries = self._progress.of(task), self._without.setdefault(task.name, [])
        tries[:] = [*(before for before in tries if before >= reached), reached]
        if len(tries) >= _MOST_WITHOUT_PROGRESS:
            error = future.exception(timeout=_WAIT_S)
            words = f"its workers ended {len(tries)} times ({one_line(error)})"
            self._end(BlockOutcome(task.name, "failed", words))

    def _end(self, outcome: BlockOutcome) -> None:
        self.outcomes[outcome.name] = outcome
        if outcome.state == "done":
            self._progress.finish(outcome.name)
        else:
            self._display.say(f"{outcome.name} failed: {outcome.words}")

    def stop(self, path: Path, signal: int) -> None:
        """Let all blocks stop after their current step, and wait until they have saved their state."""
        write_text(path, f"signal {signal}\n")
        until_s = time.monotonic() + _STOPPING_S
        while self.is_connected and time.monotonic() < until_s:
            if all(future.status != "pending" for future in self._futures.values()):
                break
            time.sleep(_EVERY_S)
        for task in self.tasks:
            self.outcomes.setdefault(task.name, BlockOutcome(task.name, "stopped", signal=signal))
