"""Runs whose scene several processes train together, each with a part of its Gaussians."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sfumato.capture.dataset import Capture
from sfumato.errors import ConfigError, SfumatoError
from sfumato.ops.in_threads import kernel_threads
from sfumato.runs.checkpoint import first_not_finite, save_shard
from sfumato.runs.run_options import RunOptions
from sfumato.sharding.follower import follow
from sfumato.sharding.processes import LOST_PEER, joined, joined_torchrun, processes, threads_of
from sfumato.sharding.ranks import PeerLostError, Ranks, is_available, torchrun
from sfumato.sharding.sharded_state import ShardedState, check_shareable, shards
from sfumato.sharding.state_shards import flattened, unflattened
from sfumato.training.state import TrainState, restore


@contextmanager
def in_processes(
    count: int, state: TrainState, capture: Capture, options: RunOptions
) -> Iterator[TrainState]:
    """Share a run with other processes, which end with this context.

    Args:
        count: number of processes on this machine; those of torchrun are used instead, if there are any.
        state: of the whole run, before the next step.
        capture: the training data.
        options: of the run, from which the others read the same data.

    Raises:
        SfumatoError: another process ended.
    """
    of_torchrun = torchrun()
    if count == 1 and of_torchrun is None:
        yield state
        return
    group = _group_of_torchrun() if of_torchrun else processes(count, follow_leader)
    with group as ranks:
        led = _led(ranks, state, capture, options)
        with kernel_threads(threads_of(of_torchrun.on_this_machine if of_torchrun else count)):
            yield led
            led.finish()


def check_processes(count: int, state: TrainState, options: RunOptions) -> None:
    """Refuse runs that several processes cannot train together.

    Args:
        count: number of processes on this machine; those of torchrun are used instead, if there are any.
        state: of the whole run.
        options: of the run.

    Raises:
        ConfigError: such a run cannot be shared, or not by so many.
    """
    of_torchrun = torchrun()
    count = of_torchrun.processes if of_torchrun else count
    if count > 1 and not is_available():
        raise ConfigError("this torch cannot connect processes: it is built without gloo; use one process")
    if count > 1:
        check_shareable(options.train, state, count)


@contextmanager
def _group_of_torchrun() -> Iterator[Ranks]:
    ranks = Ranks.of_torchrun()
    try:
        yield ranks
    finally:
        ranks.close()


def save_shards_of_others(state: ShardedState, folder: Path) -> None:
    """Let the other processes write their parts of a checkpoint.

    Raises:
        SfumatoError: one of them could not.
    """
    state.ranks.broadcast({"do": "save", "folder": str(folder.absolute()), "step": state.step})
    _refuse(state.ranks.words(""))


def follow_leader() -> None:
    """Train with the process that started this one."""
    _follow(joined)


def follow_torchrun() -> None:
    """Train with the first process that torchrun started."""
    of_torchrun = torchrun()
    with kernel_threads(threads_of(of_torchrun.on_this_machine if of_torchrun else 1)):
        _follow(joined_torchrun)


def _led(ranks: Ranks, state: TrainState, capture: Capture, options: RunOptions) -> ShardedState:
    """Give each process its Gaussians; the state of this one, which leads."""
    tables = [flattened(shard) for shard in shards(state, ranks.count)]
    ranks.broadcast(
        {
            "options": options.to_plain(),
            "photographs": _digest(capture),
            "states": [rest for _, rest in tables],
        }
    )
    _refuse(ranks.words(""))
    own = unflattened(ranks.scattered([tensors for tensors, _ in tables]), tables[0][1])
    device = state.population.gaussians.means.device
    return ShardedState.of(restore(own, capture, options.train, device, state.parts.values()), ranks)


def _follow(join: Callable[[], Ranks]) -> None:
    try:
        ranks = join()
        given = ranks.broadcast()
        problem = capture = options = None
        try:
            options = RunOptions.from_plain(given["options"], Path("process 0"))
            capture = options.read_capture()
            if _digest(capture) != given["photographs"]:
                problem = f"{options.data} holds other photographs or cameras here than for process 0"
        except SfumatoError as error:
            problem = str(error)
        if any(ranks.words(problem or "")) or capture is None or options is None:
            sys.exit(1)
        own = unflattened(ranks.scattered(), given["states"][ranks.rank])
        follow(ShardedState.of(restore(own, capture, options.train), ranks), _save)
        ranks.close()
    except PeerLostError:
        # Process 0 says so.
        sys.exit(LOST_PEER)


def _save(state: ShardedState, order: dict) -> str:
    broken = first_not_finite(state)
    if broken:
        return f"training diverged before step {state.step}: {broken} hold NaN or infinity"
    try:
        save_shard(Path(order["folder"]), state)
    except SfumatoError as error:
        return str(error)
    return ""


def _refuse(words: list[str]) -> None:
    """Report the first process that gave a reason why it cannot go on.

    Raises:
        SfumatoError: one did.
    """
    for rank, said in enumerate(words):
        if said:
            raise SfumatoError(f"process {rank} of {len(words)}: {said}")


def _digest(capture: Capture) -> str:
    """Of names, sizes and poses, in order."""
    rows = [
        [view.name, list(view.camera.size_px), view.camera.camera_from_world.flatten().tolist()]
        for view in capture.views
    ]
    return hashlib.sha256(json.dumps([rows, sorted(capture.test_names)]).encode()).hexdigest()
