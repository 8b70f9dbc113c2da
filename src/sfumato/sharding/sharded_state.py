"""The state of one process of several that train a scene together."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch

from sfumato.errors import ConfigError
from sfumato.render.raster_halves import has_ellipses
from sfumato.render.settings import RasterSettings
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Scene, metadata_of, with_metadata
from sfumato.sharding.places import divided_by_place
from sfumato.sharding.ranks import Ranks
from sfumato.sharding.state_shards import divided
from sfumato.training.config import TrainConfig
from sfumato.training.context import StepContext
from sfumato.training.part import Refinement
from sfumato.training.state import TrainState
from sfumato.training.step import StepStats


@dataclass
class ShardedState(TrainState):
    """A run between two steps, with the Gaussians of this process.

    What is not per Gaussian is the same in every process. ``start_count`` and ``cap`` are those of the whole
    scene. Process 0 leads: its ``gaussians`` are the whole scene, for which it asks the others.

    Attributes:
        ranks: the processes.
        total: number of Gaussians of all processes.
        first_step: number of steps that were done before these processes took over.
        sent_bytes: splats and their gradients that this process has sent to others since then.
        moved_bytes: the same for all processes.
        whole: the scene of all processes, once training has ended; None before.
    """

    ranks: Ranks = field(kw_only=True)
    total: int = field(kw_only=True)
    first_step: int = field(kw_only=True)
    sent_bytes: int = field(default=0, kw_only=True)
    moved_bytes: int = field(default=0, kw_only=True)
    whole: Scene | None = field(default=None, kw_only=True)

    @staticmethod
    def of(state: TrainState, ranks: Ranks) -> ShardedState:
        """The state of this process, from that of its own Gaussians; every process calls it."""
        known = {one.name: getattr(state, one.name) for one in fields(TrainState)}
        total = int(ranks.gathered([len(state.population)]).sum())
        return ShardedState(**known, ranks=ranks, total=total, first_step=state.step)

    @property
    def gaussians(self) -> Scene:
        """The whole scene, without gradients; only for process 0."""
        if self.whole is not None:
            return self.whole
        self.ranks.broadcast({"do": "scene"})
        return self.gathered_scene()

    @property
    def num_gaussians(self) -> int:
        """The number of Gaussians of all processes."""
        return self.total if self.whole is None else len(self.whole)

    def gathered_scene(self) -> Scene:
        """The whole scene in process 0, and an empty one in the others; every process calls it."""
        own = super().gaussians
        tensors = {name: self.ranks.at_leader(tensor) for name, tensor in own.tensors().items()}
        return with_metadata(Gaussians(**tensors), metadata_of(own))

    def finish(self) -> None:
        """End the training of all processes; ``gaussians`` remain the whole scene. Only for process 0."""
        if self.whole is None:
            self.whole = self.gaussians
            self.ranks.broadcast({"do": "end"})

    def context(self) -> StepContext:
        """The context of the next step in this process.

        Random numbers depend on the seed, the step and, for those of Gaussians, on the process, so that all
        processes choose the same backgrounds and crops. Each may grow in proportion to its Gaussians.
        """
        found = super().context()
        seed, step, rank = self.config.seed, found.step, self.ranks.rank
        share = len(self.population) / max(self.total, 1)
        return replace(
            found,
            max_gaussians=int(found.max_gaussians * share),
            generator=random_numbers(seed, step, 0),
            scene_generator=random_numbers(seed, step, 1 + rank),
        )

    def traffic(self) -> dict[str, float]:
        """What travels between processes in a step: bytes, and their share of those of all parameters."""
        steps = max(self.step - self.first_step, 1)
        row_bytes = sum(4 * leaf[:1].numel() for leaf in self.population.gaussians.tensors().values())
        moved = self.moved_bytes / steps
        return {
            "processes": self.ranks.count,
            "moved_bytes_per_step": round(moved),
            "moved_share_of_parameters": round(moved / max(row_bytes * self.num_gaussians, 1), 4),
        }

    def of_all(self, stats: StepStats) -> StepStats:
        """The statistics of a step in all processes; every process calls it."""
        change = stats.refinement or Refinement(0, 0)
        own = [stats.gaussians, stats.visible, change.added, change.removed, stats.refinement is not None]
        of_all = self.ranks.gathered([*own, self.sent_bytes]).sum(0).tolist()
        self.total, visible, added, removed, refined, self.moved_bytes = of_all
        refinement = Refinement(added, removed) if refined else None
        return StepStats(stats.loss_tensor, self.total, torch.tensor(visible), refinement)


def shards(state: TrainState, count: int) -> list[dict[str, Any]]:
    """The ``state_dict`` of each of ``count`` processes, from that of the whole scene.

    A run that goes on in as many processes as before gives each the Gaussians that it had, so that it ends
    with the same bits as without the stop.
    """
    means, before = state.population.gaussians.means, state.process_rows
    if len(before) == count and min(before) >= 0 and sum(before) == len(means):
        rows = list(torch.arange(len(means)).split(before))
    else:
        rows = divided_by_place(means, count)
    return divided(state.state_dict(), rows, parts_with_rows(state))


def parts_with_rows(state: TrainState) -> set[str]:
    """Names of the parts whose tensors have a row for each Gaussian."""
    return {name for name, part in state.parts.items() if part.has_rows}


def check_shareable(config: TrainConfig, state: TrainState, count: int) -> None:
    """Refuse runs that several processes cannot train together.

    Args:
        config: of the run.
        state: of the whole run.
        count: number of processes.

    Raises:
        ConfigError: the renderer, a camera, the device or a penalty is not supported, or there are fewer
            Gaussians than processes.
    """
    if len(state.population) < count:
        raise ConfigError(
            f"{count} processes cannot share {len(state.population)} Gaussians; give fewer --processes"
        )
    device: torch.device = state.population.gaussians.means.device
    if device.type != "cpu":
        raise ConfigError(f"several processes train on CPUs only so far, not on {device}: give one process")
    if not isinstance(state.settings, RasterSettings):
        raise ConfigError("several processes train with the rasterizer only: give --renderer raster")
    if config.surface_weight > 0:
        raise ConfigError("--surface-weight renders the whole scene in one process: leave out --processes")
    bent = next((view for view in state.views if not has_ellipses(view.camera)), None)
    if bent is not None:
        raise ConfigError(
            f"{bent.name} has a lens or a rolling shutter whose projections are no ellipses; several "
            "processes cannot train on it: undistort it, or leave out --processes"
        )


def random_numbers(*key: int) -> torch.Generator:
    """Random numbers of a key, such as seed, step and process."""
    seed = int(np.random.SeedSequence([number % 2**63 for number in key]).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(seed >> 1)
