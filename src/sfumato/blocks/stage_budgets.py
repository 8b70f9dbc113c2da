"""The number of blocks of a scene, and the budget of each stage of a run in blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sfumato import machine
from sfumato.blocks.ground_cells import OVERLAP
from sfumato.capture.dataset import NATIVE_SIDE_PX, Capture
from sfumato.errors import ConfigError
from sfumato.training.config import Schedule, TrainConfig
from sfumato.training.plan import default_cap, memory_cap, photographs_memory

# Share of the whole run, and of all Gaussians, that the coarse model of the whole gets. It starts from all
# points in any case: those that it left out would be holes in every block.
COARSE_STEPS, COARSE_GAUSSIANS = 0.15, 0.25
# No scene needs more; each block has a folder and a task of its own.
MOST_BLOCKS = 10_000
# A block overlaps its neighbours on each side.
_WITH_OVERLAP = (1 + 2 * OVERLAP) ** 2


@dataclass(frozen=True)
class StageBudgets:
    """Lengths of the stages of a run in blocks, and their caps on Gaussians.

    Attributes:
        gaussians: cap of the whole scene.
        starting: number of Gaussians at the start.
        blocks: number of blocks.
        at_once: number of them that are trained at the same time.
    """

    gaussians: int
    starting: int
    blocks: int
    at_once: int = 1

    def coarse(self, config: TrainConfig) -> TrainConfig:
        """The options of the coarse model of the whole."""
        cap = coarse_gaussians(self.gaussians, self.starting)
        if config.steps:
            return replace(config, steps=max(1, round(COARSE_STEPS * config.steps)), max_gaussians=cap)
        assert config.minutes is not None
        return replace(config, minutes=COARSE_STEPS * config.minutes, max_gaussians=cap)

    def block(self, config: TrainConfig, share: float, starting: int) -> TrainConfig:
        """The options of a block.

        Args:
            config: of the whole.
            share: of all pixels, those that show the block with its overlap.
            starting: number of Gaussians of the coarse model in it, all of which are kept.
        """
        cap = max(1, round(share * self.gaussians), starting)
        config = replace(config, schedule=_after_coarse(config.schedule))
        if config.steps:
            rest = config.steps - (self.coarse(config).steps or 0)
            return replace(config, steps=max(1, rest // self.blocks), max_gaussians=cap)
        assert config.minutes is not None
        at_once = min(self.at_once, self.blocks)
        minutes = (1 - COARSE_STEPS) * config.minutes * at_once / self.blocks
        return replace(config, minutes=minutes, max_gaussians=cap)


def _after_coarse(schedule: Schedule) -> Schedule:
    """The schedule of a block, which starts from the coarse model: not as small, and in all SH degrees."""
    half = schedule.half_resolution_until / 2
    return replace(
        schedule, quarter_resolution_until=0.0, half_resolution_until=half, sh_raises=(0.0, 0.0, 0.0)
    )


def coarse_gaussians(wanted: int, starting: int) -> int:
    """The cap of the coarse model.

    Args:
        wanted: cap of the whole scene.
        starting: number of Gaussians at the start.
    """
    return max(1, round(COARSE_GAUSSIANS * wanted), min(starting, wanted))


def gaussians_wanted(capture: Capture, config: TrainConfig, starting: int) -> int:
    """The cap of the whole scene, whatever the memory.

    Args:
        capture: the whole dataset.
        config: with a budget.
        starting: number of Gaussians at the start.
    """
    if config.max_gaussians is not None:
        return config.max_gaussians
    pixels = sum(math.prod(view.camera.size_px) for view in capture.train_views)
    return default_cap(pixels, start_count=starting, config=config)


def blocks_needed(
    capture: Capture, config: TrainConfig, starting: int, available_bytes: int | None = None
) -> int:
    """The smallest number of blocks that fit in memory, each with its surroundings.

    Args:
        capture: the whole dataset.
        config: with a budget.
        starting: number of Gaussians at the start.
        available_bytes: memory for one block; None: what is free on this machine.

    Raises:
        ConfigError: not even the coarse model fits.
    """
    available = machine.memory().available_bytes if available_bytes is None else available_bytes
    sizes = [math.prod(view.camera.size_px) for view in capture.train_views]
    native = [math.prod(view.at_side(NATIVE_SIDE_PX).camera.size_px) for view in capture.test_views]
    most = memory_cap(
        available, pixels=max([*sizes, *native]), photographs_bytes=photographs_memory(sum(sizes))
    )
    wanted = gaussians_wanted(capture, config, starting)
    coarse = coarse_gaussians(wanted, starting)
    if wanted <= most:
        return 1
    room = most - coarse
    count = math.ceil(_WITH_OVERLAP * wanted / room) if room > 0 else MOST_BLOCKS + 1
    if count > MOST_BLOCKS:
        raise ConfigError(
            f"{wanted:,} Gaussians do not fit in the free memory, even in blocks: the coarse model alone has "
            f"{coarse:,}, and at most {max(most, 0):,} fit; give a smaller --max-gaussians, or a larger "
            "--downscale"
        )
    return max(2, count)
