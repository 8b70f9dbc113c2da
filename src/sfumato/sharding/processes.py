"""Starting the other processes of a training on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sfumato import machine
from sfumato.children import call_of, child_command
from sfumato.errors import SfumatoError
from sfumato.sharding.ranks import PeerLostError, Ranks

_LOOPBACK = {"linux": "lo", "darwin": "lo0"}
_END_S = 10.0
_EVERY_S = 0.02
# Exit code of a process that ends because another one did.
LOST_PEER = 3
_LAST_BYTES = 2000


@contextmanager
def processes(count: int, main: Callable[[], None]) -> Iterator[Ranks]:
    """Start ``count`` - 1 processes; this one leads them.

    Args:
        count: number of processes, with this one.
        main: function at the top level of a module that the others call; it joins the group with
            ``joined``.

    Raises:
        SfumatoError: one of them ended before it was told to; the message has its last words.
    """
    with tempfile.TemporaryDirectory(prefix="sfumato-") as folder:
        place = Path(folder)
        with _on_loopback():
            started = _start(count, main, place)
            try:
                _await(started, place)
                yield Ranks.meeting_at(place / "meeting", 0, count)
            except PeerLostError as error:
                words = _last_words(started, place)
                raise (SfumatoError(words) if words else error) from error
            finally:
                # The others end when they lose their leader, if they have not ended before.
                with suppress(ValueError, RuntimeError, AssertionError):
                    Ranks.close()
                _end(started)


def joined() -> Ranks:
    """The group, in a process that ``processes`` started."""
    _ignore_signals()
    rank, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    (folder / f"{rank}.ready").touch()
    return Ranks.meeting_at(folder / "meeting", rank, count)


def joined_torchrun() -> Ranks:
    """The group, in a process other than the first that torchrun started."""
    _ignore_signals()
    return Ranks.of_torchrun()


def threads_of(count: int) -> int:
    """Number of threads of each of ``count`` processes on this machine."""
    return max(1, machine.cores() // count)


def _ignore_signals() -> None:
    """Ctrl-C reaches all processes of a terminal; the first one decides when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _start(count: int, main: Callable[[], None], folder: Path) -> list[subprocess.Popen[bytes]]:
    threads = {"NUMBA_NUM_THREADS": str(threads_of(count)), "OMP_NUM_THREADS": "1"}
    found = []
    for rank in range(1, count):
        with (folder / f"{rank}.log").open("wb") as log:
            found.append(
                subprocess.Popen(
                    [*child_command(call_of(main)), str(rank), str(count), folder],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env={**os.environ, **threads},
                    cwd=folder,
                )
            )
    return found


def _await(started: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
    """Wait until all processes are about to join, as the group would wait an hour for one that ended.

    Raises:
        PeerLostError: one of them ended.
    """
    while not all((folder / f"{rank}.ready").exists() for rank in range(1, len(started) + 1)):
        if any(process.poll() is not None for process in started):
            raise PeerLostError("a process of this training ended as it started; repeat the command")
        time.sleep(_EVERY_S)


def _last_words(started: Sequence[subprocess.Popen[bytes]], folder: Path) -> str | None:
    """What is known of the process that ended first; the others end because of it."""
    found = []
    for rank, process in enumerate(started, 1):
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(_END_S / len(started))
            raw = (folder / f"{rank}.log").read_bytes()[-_LAST_BYTES:]
            lines = raw.decode(errors="replace").strip().splitlines()
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            words = f"process {rank} of {len(started) + 1} {how}{': ' if lines else ''}{''.join(lines[-1:])}"
            found.append((code == LOST_PEER, code == 0, f"{words}; the same command resumes"))
    return min(found)[-1] if found else None


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let gloo listen on the loopback interface only."""
    name, before = "GLOO_SOCKET_IFNAME", os.environ.get("GLOO_SOCKET_IFNAME")
    if sys.platform in _LOOPBACK and before is None:
        os.environ[name] = _LOOPBACK[sys.platform]
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
