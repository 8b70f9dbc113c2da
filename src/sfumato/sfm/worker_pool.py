"""A pool of worker processes for COLMAP; one that dies or hangs is replaced and its job repeated."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfumato import children, errors
from sfumato.children import child_command
from sfumato.errors import SfumatoError
from sfumato.sfm.stage_files import is_full, no_space

_log = logging.getLogger("sfumato")

# Time-out: the larger of this many seconds and this multiple of the longest job so far.
_LEAST_S, _TIMES_LONGEST = 120.0, 20.0
# Factor by which the time-out of each further attempt grows, as the machine may just be slow.
_LONGER = 4.0
# The last attempt runs alone, so that all memory is available.
_ATTEMPTS = 4
# Polling interval: on some systems Ctrl-C cannot interrupt a blocking wait.
_POLL_S = 0.5
_ENDING_S = 10.0
_SHOWN_CHARACTERS = 300


def _ignore(title: str, done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Job:
    """Work for one process.

    Attributes:
        what: description for messages.
        prepare: called before each attempt; creates the input files and returns the request.
        allowed_s: lower bound of the time-out.
        on_progress: called with the progress reports of the job.
        attempts: maximum number of attempts.
    """

    what: str
    prepare: Callable[[], Mapping[str, Any]]
    allowed_s: float
    on_progress: Callable[[str, int, int], None] = _ignore
    attempts: int = _ATTEMPTS


@dataclass
class _WorkerTask:
    """A job and its state."""

    job: Job
    failures: int = 0
    request: Mapping[str, Any] = field(default_factory=dict)
    began_s: float = 0.0
    until_s: float = 0.0

    @property
    def is_last_attempt(self) -> bool:
        return self.failures == self.job.attempts - 1


class WorkerPool:
    """A pool of processes, which are ended with the ``with`` block.

    Args:
        size: maximum number of processes.
        folder: folder that they write to.
    """

    def __init__(self, size: int, folder: Path) -> None:
        self._size, self._folder = size, folder
        self._workers: list[_Worker] = []
        self._answers: queue.Queue[tuple[_Worker, bytes]] = queue.Queue()
        self._again: list[_WorkerTask] = []
        self._longest_s = 0.0

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        while self._workers:
            self._workers.pop().end()

    def results(self, jobs: Iterable[Job]) -> Iterator[Mapping[str, Any]]:
        """Run jobs, and yield the request of each when it is done, in any order.

        Args:
            jobs: consumed one by one, as processes become free.

        Raises:
            SfumatoError: a job failed in every attempt, the disk is full, or the input is wrong.
        """
        waiting = iter(jobs)
        while self._submit(waiting):
            with suppress(queue.Empty):
                done = self._answer(*self._answers.get(timeout=_POLL_S))
                if done:
                    yield done.request
            for worker in [worker for worker in self._workers if worker.is_overdue()]:
                self._replace(worker, f"no answer for {worker.busy_s():.0f} s")

    def _submit(self, waiting: Iterator[Job]) -> bool:
        """Give a job to each idle process; returns whether any process is busy."""
        while task := self._next(waiting):
            free = next((worker for worker in self._workers if worker.task is None), None)
            if free is None:
                free = _Worker(self._answers)
                self._workers.append(free)
            task.request = task.job.prepare()
            task.began_s = time.monotonic()
            task.until_s = task.began_s + allowed_s(task.job, self._longest_s) * _LONGER**task.failures
            free.give(task)
        return any(worker.task for worker in self._workers)

    def _next(self, waiting: Iterator[Job]) -> _WorkerTask | None:
        """The next task that may start now."""
        working = [worker.task for worker in self._workers if worker.task]
        if len(working) >= self._size or any(task.is_last_attempt for task in working):
            return None
        if self._again:
            return None if working and self._again[0].is_last_attempt else self._again.pop(0)
        job = next(waiting, None)
        return _WorkerTask(job) if job else None

    def _answer(self, worker: _Worker, line: bytes) -> _WorkerTask | None:
        """Handle a line that a process wrote, empty when it has ended; returns the task if it is done."""
        if worker not in self._workers:
            return None
        answer = json.loads(line) if line else {"error": worker.ending()}
        if "told" in answer:
            if worker.task:
                worker.task.job.on_progress(*answer["told"])
            return None
        if kind := answer.get("kind"):
            raise getattr(errors, kind)(answer["error"])
        if answer["error"]:
            self._replace(worker, answer["error"])
            return None
        task, worker.task = worker.task, None
        assert task is not None
        self._longest_s = max(self._longest_s, time.monotonic() - task.began_s)
        return task

    def _replace(self, worker: _Worker, why: str) -> None:
        """End a process; its task is repeated, up to the last attempt."""
        self._workers.remove(worker)
        words = worker.end()
        task = worker.task
        if task is None:
            return
        if is_full(self._folder, f"{why} {words}"):
            raise no_space(self._folder)
        task.failures += 1
        what = f"{task.job.what} failed in a process of COLMAP ({why}{words and ': '}{words})"
        if task.failures == task.job.attempts:
            raise SfumatoError(
                f"{what}, {task.failures} times; free some memory or leave these pictures out; "
                "the same command then resumes"
            )
        _log.warning("%s; it is repeated", what)
        self._again.append(task)


class _Worker:
    """A process and its task."""

    def __init__(self, answers: queue.Queue[tuple[_Worker, bytes]]) -> None:
        self.task: _WorkerTask | None = None
        # On most systems the file has no name, so it never stays behind.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=_environment(),
                cwd=children.FOLDER,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            self._stderr.close()
            reason = (error.strerror or str(error)).lower()
            raise SfumatoError(
                f"cannot start {command()[0]}: {reason}; free some memory, and give the same command again"
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._listener = threading.Thread(target=self._listen, args=(answers,), daemon=True)
        self._listener.start()

    def give(self, task: _WorkerTask) -> None:
        """Send the request of a task."""
        self.task = task
        # If the process has died, the end of its output shows it.
        with suppress(OSError):
            self._stdin.write(json.dumps({**task.request}).encode() + b"\n")
            self._stdin.flush()

    def busy_s(self) -> float:
        """Seconds since the request."""
        return 0.0 if self.task is None else time.monotonic() - self.task.began_s

    def is_overdue(self) -> bool:
        """Whether the time-out has passed."""
        return self.task is not None and time.monotonic() > self.task.until_s

    def ending(self) -> str:
        """Description of how a process ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        code = self._process.returncode
        if code is None or code >= 0:
            return f"it ended with code {code}"
        with suppress(ValueError):
            return f"it ended by {signal.Signals(-code).name}"
        return f"it ended by signal {-code}"

    def end(self) -> str:
        """Kill the process if it runs; returns its last error message."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        self._listener.join(_ENDING_S)
        with suppress(OSError):
            self._stdin.close()
        self._stdout.close()
        self._stderr.seek(0)
        words = " ".join(self._stderr.read().decode("utf-8", "replace").split())
        self._stderr.close()
        return words[-_SHOWN_CHARACTERS:]

    def _listen(self, answers: queue.Queue[tuple[_Worker, bytes]]) -> None:
        for line in self._stdout:
            answers.put((self, line))
        answers.put((self, b""))


def command() -> list[str]:
    """The command line of a process."""
    return child_command("from sfumato.sfm.worker import main\nmain()")


def allowed_s(job: Job, longest_s: float) -> float:
    """Time-out of a first attempt, seconds.

    Args:
        job: the job.
        longest_s: duration of the longest job so far.
    """
    return max(_LEAST_S, job.allowed_s, _TIMES_LONGEST * longest_s)


def _environment() -> dict[str, str]:
    """Environment for a process that runs on a single thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
