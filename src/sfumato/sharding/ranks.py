"""The processes that train a scene together, and what they exchange: a group of torch.distributed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from sfumato.errors import SfumatoError

# A process that waits longer for another gives up.
_PATIENCE = timedelta(hours=1)
# Set by torchrun, and by nothing else.
_TORCHRUN = "TORCHELASTIC_RUN_ID"


class PeerLostError(SfumatoError):
    """Another process of the group ended, or cannot be reached."""


class Ranks:
    """This process in the group.

    All methods except ``close`` are collective: every process calls the same ones in the same order.

    Attributes:
        rank: number of this process; process 0 leads.
        count: number of processes.
    """

    rank: int
    count: int

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()

    @staticmethod
    def meeting_at(file: Path, rank: int, count: int) -> Ranks:
        """The group of processes on this machine that meet at a file, which must not exist before."""
        with _peers_may_be_lost():
            store = dist.FileStore(str(file), count)  # type: ignore[attr-defined]
            dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=_PATIENCE)
        return Ranks()

    @staticmethod
    def of_torchrun() -> Ranks:
        """The group that torchrun describes by its environment variables."""
        with _peers_may_be_lost():
            dist.init_process_group("gloo", timeout=_PATIENCE)
        return Ranks()

    @staticmethod
    def close() -> None:
        """Leave the group."""
        dist.destroy_process_group()

    def broadcast(self, content: Any = None) -> Any:
        """Plain values, ready for JSON, from process 0 to all."""
        raw = json.dumps(content).encode() if self.rank == 0 else b""
        length = torch.tensor([len(raw)])
        with _peers_may_be_lost():
            dist.broadcast(length, 0)
            data = torch.frombuffer(bytearray(raw or bytes(int(length))), dtype=torch.uint8)
            dist.broadcast(data, 0)
        return json.loads(data.numpy().tobytes())

    def gathered(self, numbers: Sequence[int]) -> Tensor:
        """[processes, k] int64: the k whole numbers of each process."""
        own = torch.tensor(numbers, dtype=torch.int64)
        found = torch.empty(self.count, len(own), dtype=torch.int64)
        with _peers_may_be_lost():
            dist.all_gather(list(found), own)
        return found

    def words(self, own: str) -> list[str]:
        """A text of each process."""
        raw = own.encode()
        lengths = self.gathered([len(raw)])[:, 0]
        padded = torch.zeros(max(int(lengths.max()), 1), dtype=torch.uint8)
        padded[: len(raw)] = torch.tensor(list(raw), dtype=torch.uint8)
        found = torch.empty(self.count, len(padded), dtype=torch.uint8)
        with _peers_may_be_lost():
            dist.all_gather(list(found), padded)
        pairs = zip(found, lengths.tolist(), strict=True)
        return [row[:length].numpy().tobytes().decode(errors="replace") for row, length in pairs]

    def summed(self, own: Tensor) -> Tensor:
        """The sum [k] of the tensors of all processes, with the same bits in each."""
        found = own.new_empty(self.count, len(own))
        with _peers_may_be_lost():
            dist.all_gather(list(found), own)
        return found.sum(0)

    def exchange(self, rows: Sequence[Tensor], expected: Sequence[int]) -> list[Tensor]:
        """Send rows to each process, and receive those that each sends here.

        Args:
            rows: for each process [n, c] to send, of one dtype.
            expected: for each process the number of rows that it sends.

        Returns:
            For each process the rows received.
        """
        sent = torch.cat(list(rows))
        received = sent.new_empty(sum(expected), *sent.shape[1:])
        lengths = [len(part) for part in rows]
        with _peers_may_be_lost():
            dist.all_to_all_single(received, sent, list(expected), lengths)
        return list(received.split(list(expected)))

    def at_leader(self, own: Tensor) -> Tensor:
        """The rows [n, ...] of all processes in process 0, in their order; none in the others."""
        lengths = self.gathered([len(own)])[:, 0].tolist()
        # A process may have lost all of its Gaussians.
        flat = own.reshape(len(own), math.prod(own.shape[1:]))
        rows = [flat if rank == 0 else flat[:0] for rank in range(self.count)]
        expected = lengths if self.rank == 0 else [0] * self.count
        return torch.cat(self.exchange(rows, expected)).reshape(-1, *own.shape[1:])

    def scattered(self, tables: Sequence[Mapping[str, Tensor]] | None = None) -> dict[str, Tensor]:
        """The table of tensors of this process, from the ``tables`` of all that process 0 gives."""
        shapes = None
        if tables is not None:
            shapes = [
                {name: [str(tensor.dtype), list(tensor.shape)] for name, tensor in table.items()}
                for table in tables
            ]
        shapes = self.broadcast(shapes)
        if tables is None:
            kinds = shapes[self.rank].items()
            own = {
                name: torch.empty(shape, dtype=getattr(torch, dtype.removeprefix("torch.")))
                for name, (dtype, shape) in kinds
            }
            with _peers_may_be_lost():
                for tensor in own.values():
                    dist.recv(tensor, 0)
            return own
        with _peers_may_be_lost():
            for rank in range(1, self.count):
                for tensor in tables[rank].values():
                    dist.send(tensor.contiguous(), rank)
        return dict(tables[0])


def is_available() -> bool:
    """Whether this torch can connect processes."""
    return dist.is_available() and dist.is_gloo_available()


class Torchrun(NamedTuple):
    """The group of processes that torchrun started.

    Attributes:
        rank: number of this process.
        processes: number of processes.
        on_this_machine: how many of them run on this machine.
    """

    rank: int
    processes: int
    on_this_machine: int


def torchrun() -> Torchrun | None:
    """What torchrun says of this process; None if it was not started by it, or is alone."""
    if _TORCHRUN not in os.environ:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    found = Torchrun(*(int(os.environ[name]) for name in names))
    return found if found.processes > 1 else None


@contextmanager
def _peers_may_be_lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise PeerLostError(
            "another process of this training ended, or cannot be reached; the same command resumes from the "
            "last checkpoint"
        ) from error
