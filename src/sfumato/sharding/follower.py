"""A process that trains together with process 0, which tells it what to do."""

from __future__ import annotations

from collections.abc import Callable

from sfumato.maths.one_thread import one_torch_thread
from sfumato.sharding.sharded_state import ShardedState
from sfumato.sharding.sharded_step import step_together

# Does something that process 0 asks for; "" if it succeeded, else the reason.
Order = Callable[[ShardedState, dict], str]


def follow(state: ShardedState, save: Order) -> None:
    """Do what process 0 says, until it says that training has ended.

    Args:
        state: of this process.
        save: writes a checkpoint of its Gaussians.

    Raises:
        PeerLostError: another process ended.
    """
    with one_torch_thread():
        while True:
            order = state.ranks.broadcast()
            if order["do"] == "step":
                state.seconds = order["seconds"]
                step_together(state, order["views"])
            elif order["do"] == "scene":
                state.gathered_scene()
            elif order["do"] == "save":
                state.ranks.words(save(state, order))
            else:
                return
