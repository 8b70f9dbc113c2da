"""Processes that share a training, and what they compute together."""

import json
from pathlib import Path

import torch

from sfumato.sharding.processes import joined, processes
from sfumato.sharding.ranks import Ranks
from sfumato.sharding.sharded_state import ShardedState, shards
from sfumato.sharding.sharded_step import sharded_gradients, step_together
from sfumato.training.config import Schedule, TrainConfig
from sfumato.training.state import TrainState, restore
from support.tiny import tiny_config, tiny_start

STEPS = 12


def config_of(changes: dict) -> TrainConfig:
    """A tiny run, with photographs at full size and all parts that processes may share."""
    schedule = Schedule(
        half_resolution_until=0.0,
        quarter_resolution_until=0.0,
        sh_raises=(0.0, 0.0, 0.0),
        poses_from=0.0,
        refine_every=4,
        refine_from=0.0,
    )
    frozen = tuple(changes.get("frozen", ()))
    return tiny_config(**{"schedule": schedule, **changes, "frozen": frozen})


def shared_state(root: Path, config: TrainConfig, ranks: Ranks) -> tuple[TrainState, ShardedState]:
    """The state of the whole run, and that of this process."""
    capture, whole = tiny_start(root, config)
    # Spheres would have no gradient of their rotation.
    scales = whole.population.gaussians.log_scales.data
    scales += 0.5 * torch.randn(scales.shape, generator=torch.Generator().manual_seed(2))
    own = shards(whole, ranks.count)[ranks.rank]
    return whole, ShardedState.of(restore(own, capture, config), ranks)


def together(root: Path, changes: dict, views: list[int]) -> tuple[dict, TrainState]:
    """Gradients of the whole scene from two processes, by name, and the state before the step."""
    with processes(2, _gradients_there) as ranks:
        ranks.broadcast([str(root), json.dumps(changes), views])
        whole, state = shared_state(root, config_of(changes), ranks)
        return _gradients(state, views), whole


def ends_at_once() -> None:
    """A process that does not get as far as joining the others."""
    raise SystemExit("there is no disk")


def _gradients_there() -> None:
    ranks = joined()
    root, changes, views = ranks.broadcast()
    _, state = shared_state(Path(root), config_of(json.loads(changes)), ranks)
    _gradients(state, views)


def _gradients(state: ShardedState, views: list[int]) -> dict:
    found = sharded_gradients(state, views)
    tensors = {**found.of_gaussians, "visible": found.visible}
    if found.screen_gradient is not None:
        tensors["screen_gradient"] = found.screen_gradient
    of_all = {name: state.ranks.at_leader(tensor) for name, tensor in tensors.items()}
    return {"loss": found.loss, "of_parts": found.of_parts, **of_all}


def trained_together(root: Path, changes: dict, count: int) -> tuple[dict[str, torch.Tensor], list[int]]:
    """The scene after some steps of several processes, and the numbers of Gaussians of the steps."""
    with processes(count, _train_there) as ranks:
        ranks.broadcast([str(root), json.dumps(changes)])
        return _train(root, config_of(changes), ranks)


def _train_there() -> None:
    ranks = joined()
    root, changes = ranks.broadcast()
    _train(Path(root), config_of(json.loads(changes)), ranks)


def _train(root: Path, config: TrainConfig, ranks: Ranks) -> tuple[dict[str, torch.Tensor], list[int]]:
    _, state = shared_state(root, config, ranks)
    counts = [step_together(state, [step % 2, (step + 1) % 2]).gaussians for step in range(STEPS)]
    return state.gathered_scene().tensors(), counts
