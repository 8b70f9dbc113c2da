"""A connection to Dask's scheduler: its workers, and which of them can be used."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato import machine
from sfumato.display import Display
from sfumato.errors import ConfigError
from sfumato.outputs import write_text

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# Name of the resource by which workers declare their memory, bytes.
MEMORY = "MEMORY"
LOOPBACK = "127.0.0.1"
_LOCAL = re.compile(r"local(?::([1-9]\d{0,3}))?")
_ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")
_CONNECT_S = 20
# Least memory of a worker on this machine, if available.
_LEAST_BYTES = 2 << 30
TOKEN_FILE = "shared_folder"


@dataclass(frozen=True)
class ClusterSpec:
    """Where blocks are trained.

    Attributes:
        address: of a running scheduler; None: workers are started on this machine.
        workers: number of those; None: as many as cores and memory allow.
    """

    address: str | None = None
    workers: int | None = None

    @staticmethod
    def of(words: str) -> ClusterSpec:
        """The place that ``--cluster`` names: local, local:N, or the address of a scheduler.

        Raises:
            ConfigError: it is none of these.
        """
        local = _LOCAL.fullmatch(words)
        if local:
            return ClusterSpec(workers=int(local[1]) if local[1] else None)
        if not _ADDRESS.fullmatch(words):
            raise ConfigError(
                f"--cluster is {words!r}; give local, local:N for N workers, or the address of a scheduler, "
                "such as tcp://10.0.0.5:8786"
            )
        return ClusterSpec(address=words)


def start_local(place: ClusterSpec) -> LocalCluster:
    """Start workers on this machine, which listen on loopback only, each with its share of the cores."""
    from distributed import LocalCluster

    count, cores = place.workers or workers_here(), machine.cores()
    threads = {"NUMBA_NUM_THREADS": str(max(1, cores // count)), "OMP_NUM_THREADS": "1"}
    return LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host=LOOPBACK,
        dashboard_address=f"{LOOPBACK}:0",
        memory_limit=0,
        resources={MEMORY: memory_here(count)},
        env=threads,
        silence_logs="CRITICAL",
    )


def workers_here() -> int:
    """Number of workers that cores and memory of this machine allow."""
    return max(1, min(machine.cores(), machine.memory().available_bytes // _LEAST_BYTES))


def memory_here(workers: int) -> int:
    """Bytes of memory for each of several workers on this machine."""
    return machine.memory().available_bytes // workers


def connected(address: str) -> Client:
    """A client of the scheduler at an address.

    Raises:
        ConfigError: none answers there.
    """
    from distributed import Client

    # What it would print of a lost connection, with stacks, is said here in one line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        return Client(address, set_as_default=False, timeout=_CONNECT_S, name="sfumato")
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(
            f"no scheduler answers at {address} within {_CONNECT_S} s ({one_line(error)}); start one with "
            "dask scheduler, or give --cluster local"
        ) from error


@dataclass
class Workers:
    """The workers of a scheduler, each of which is checked when it is first seen.

    Attributes:
        folder: of the run, which they have to see.
        data: the dataset, likewise.
        display: names those that cannot be used.
        bad: addresses of these.
    """

    folder: Path
    data: Path
    display: Display
    bad: set[str] = field(default_factory=set)
    _checked: set[str] = field(default_factory=set)
    _token: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        write_text(self.folder / TOKEN_FILE, self._token)

    def usable(self, client: Client) -> dict[str, dict[str, Any]]:
        """What the scheduler says of each worker that can be used, by address."""
        there = known_workers(client)
        fresh = sorted(there.keys() - self._checked)
        if fresh:
            self._check(client, fresh, there)
        return {address: facts for address, facts in there.items() if address not in self.bad}

    def _check(self, client: Client, fresh: list[str], there: dict[str, dict[str, Any]]) -> None:
        # Only functions of Python itself, as a worker may be without this package.
        version = metadata.version("sfumato")
        versions = _answers(client, fresh, metadata.version, "sfumato")
        tokens = _answers(client, fresh, Path.read_text, self.folder / TOKEN_FILE)
        data = _answers(client, fresh, Path.exists, self.data)
        for address in fresh:
            if not {address} <= versions.keys() & tokens.keys() & data.keys():
                continue  # It is gone again.
            self._checked.add(address)
            reason = None
            if versions[address] != version:
                has = versions[address]
                has = f"has sfumato {has}" if isinstance(has, str) else "has no sfumato"
                reason = f"{has}, and {version} is needed"
            elif tokens[address] != self._token:
                reason = f"does not see the run folder {self.folder.parent}"
            elif data[address] is not True:
                reason = f"does not see the dataset {self.data}"
            if reason:
                self.bad.add(address)
                self.display.say(f"worker {_named(address, there)} is not used: it {reason}")


def known_workers(client: Client) -> dict[str, dict[str, Any]]:
    """The scheduler's information on each of its workers, by address."""
    return dict(client.scheduler_info(n_workers=-1).get("workers", {}))


def _answers(client: Client, workers: list[str], function: Any, *given: object) -> dict[str, Any]:
    """The results of a function on workers, or their errors, by address; none of a worker that is gone."""
    with suppress(OSError, ValueError, KeyError):
        found: dict[str, Any] = client.run(function, *given, workers=workers, on_error="return")
        return {address: answer for address, answer in found.items() if not _is_gone(answer)}
    return {}


def _is_gone(answer: object) -> bool:
    return isinstance(answer, OSError) and "Comm" in type(answer).__name__


def _named(address: str, there: dict[str, dict[str, Any]]) -> str:
    name = there[address].get("name")
    return address if name in (None, address) else f"{name} ({address})"


def declared_memory(workers: Iterable[dict[str, Any]]) -> list[float] | None:
    """The memory that each worker declares, bytes; None if one of them declares none."""
    declared = [worker.get("resources", {}).get(MEMORY) for worker in workers]
    return [float(one) for one in declared] if declared and all(declared) else None


def one_line(error: BaseException) -> str:
    """The message of an error."""
    return " ".join(str(error).split())[:160] or type(error).__name__
