"""The plan of a run: size of the photographs, number of steps, cap on Gaussians, memory."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

from sfumato import machine
from sfumato.capture.cache import default_cache_bytes
from sfumato.capture.dataset import NATIVE_SIDE_PX, Capture
from sfumato.errors import ConfigError
from sfumato.training.config import TrainConfig

_log = logging.getLogger("sfumato")

GIB = 1024**3
# Enough for a good scene on two cores.
DEFAULT_MINUTES = 5.0
# Pixels of a photograph per minute of training on two cores: with more, too few steps are possible; with
# fewer, detail is lost.
PIXELS_PER_MINUTE = 45_000
# Photographs are not reduced below this by themselves.
_LEAST_SIDE_PX = 200
# Least number of training pixels per Gaussian: the best of those measured (85, 55, 36).
PIXELS_PER_GAUSSIAN = 36
# Caps by the length of the run: with more Gaussians steps become slower, and quality falls. Measured on
# photographs of 0.13 megapixels with two cores.
GAUSSIANS_PER_STEP = 30
GAUSSIANS_IN_A_MINUTE, MINUTES_EXPONENT = 41_000, 0.81
# Peak resident memory, by tools/measure_memory.py: Python with torch and the kernels 460 MiB, 1265 bytes per
# Gaussian with densification and checkpoint, 98 per pixel of the largest photograph. A margin of about 40% is
# for scenes whose Gaussians overlap more, and for more threads.
BASE_BYTES = 600 << 20
BYTES_PER_GAUSSIAN = 1800
BYTES_PER_PIXEL = 150
# Fraction of the available memory that a run may use.
_SHARE_OF_AVAILABLE = 0.9


@dataclass(frozen=True)
class TrainingPlan:
    """The size and memory of a run.

    Attributes:
        photographs: number of training photographs.
        size_px: (width, height) of the largest.
        original_size_px: the same before reduction.
        points: number of Gaussians at the start.
        cap: largest number of Gaussians.
        memory_bytes: estimated peak.
        available_bytes: memory available on the machine.
    """

    photographs: int
    size_px: tuple[int, int]
    original_size_px: tuple[int, int]
    points: int
    cap: int
    memory_bytes: int
    available_bytes: int

    def describe(self, config: TrainConfig) -> str:
        """The plan in one line."""
        budget = f"{config.steps:,} steps" if config.steps else f"{config.minutes:g} minutes"
        is_reduced = self.original_size_px != self.size_px
        reduced = f", reduced from {sides(self.original_size_px)}" if is_reduced else ""
        return (
            f"{self.photographs} photographs of {sides(self.size_px)}"
            f"{reduced}, {self.points:,} points, "
            f"at most {self.cap:,} Gaussians, {budget}, "
            f"about {self.memory_bytes / GIB:.1f} of {self.available_bytes / GIB:.1f} GiB of memory"
        )


def sides(size_px: tuple[int, int]) -> str:
    """Width and height as text."""
    return f"{size_px[0]}x{size_px[1]}"


def with_budget(config: TrainConfig) -> TrainConfig:
    """The same configuration, with the default time if it has neither steps nor minutes."""
    if config.steps is None and config.minutes is None:
        return replace(config, minutes=DEFAULT_MINUTES)
    return config


def downscale_for(size_px: tuple[int, int], minutes: float) -> int:
    """The best reduction of photographs for a training time.

    Args:
        size_px: (width, height) of the largest photograph.
        minutes: of training.
    """
    wanted = PIXELS_PER_MINUTE * minutes * machine.cores() / 2.0
    factor = round(math.sqrt(math.prod(size_px) / wanted))
    return max(1, min(factor, min(size_px) // _LEAST_SIDE_PX))


def make_plan(
    capture: Capture, config: TrainConfig, *, start_count: int, fixed_count: int = 0
) -> TrainingPlan:
    """Choose the cap and estimate the memory.

    Args:
        capture: the training data.
        config: with a budget.
        start_count: number of Gaussians at the start, before any cap.
        fixed_count: number of Gaussians that are drawn but not trained; they count as much as others, which
            is more than they need.

    Raises:
        ConfigError: the run does not fit the memory even with one Gaussian.
    """
    sizes = [view.camera.size_px for view in capture.train_views]
    train_pixels = sum(width * height for width, height in sizes)
    size_px = max(sizes, key=math.prod)
    # Held-out views are compared at their own size at the end.
    native = [view.at_side(NATIVE_SIDE_PX).camera.size_px for view in capture.test_views]
    pixels, photographs_bytes = max(map(math.prod, [size_px, *native])), photographs_memory(train_pixels)
    # Memory that this process already holds is part of the estimate.
    available = machine.memory().available_bytes + min(machine.peak_memory_bytes(), BASE_BYTES)
    most = memory_cap(available, pixels=pixels, photographs_bytes=photographs_bytes) - fixed_count
    if most < 1:
        need = estimate_memory(1 + fixed_count, pixels=pixels, photographs_bytes=photographs_bytes)
        raise ConfigError(
            f"training needs at least {need / GIB:.1f} GiB of memory and {available / GIB:.1f} GiB are free; "
            "close programs, or give a larger --downscale"
        )
    cap = config.max_gaussians
    if cap is None:
        cap = min(most, default_cap(train_pixels, start_count=start_count, config=config))
    elif cap > most:
        _log.warning(
            "--max-gaussians %d may need more than the free memory, which suffices for %d", cap, most
        )
    memory = estimate_memory(cap + fixed_count, pixels=pixels, photographs_bytes=photographs_bytes)
    return TrainingPlan(
        len(sizes), size_px, capture.original_size_px, min(start_count, cap), cap, memory, available
    )


def default_cap(train_pixels: int, *, start_count: int, config: TrainConfig) -> int:
    """Default cap on Gaussians, from the number of pixels and the length of the run.

    Args:
        train_pixels: pixels of all training photographs.
        start_count: number of Gaussians at the start.
        config: with a budget, ``steps`` or ``minutes``.
    """
    if config.steps:
        affordable = GAUSSIANS_PER_STEP * config.steps
    else:
        assert config.minutes is not None
        core_minutes = config.minutes * machine.cores() / 2
        affordable = round(GAUSSIANS_IN_A_MINUTE * core_minutes**MINUTES_EXPONENT)
    return max(start_count, min(affordable, train_pixels // PIXELS_PER_GAUSSIAN))


def photographs_memory(train_pixels: int) -> int:
    """Bytes of decoded photographs: three per pixel, up to the size of the cache."""
    return min(3 * train_pixels, default_cache_bytes())


def estimate_memory(gaussians: int, *, pixels: int, photographs_bytes: int) -> int:
    """Peak resident bytes of a run.

    Args:
        gaussians: their largest number.
        pixels: of the largest render.
        photographs_bytes: of decoded photographs.
    """
    return BASE_BYTES + BYTES_PER_GAUSSIAN * gaussians + BYTES_PER_PIXEL * pixels + photographs_bytes


def memory_cap(available_bytes: int, *, pixels: int, photographs_bytes: int) -> int:
    """Number of Gaussians that fit the memory; 0 or less if not even one does."""
    rest = _SHARE_OF_AVAILABLE * available_bytes
    rest -= estimate_memory(0, pixels=pixels, photographs_bytes=photographs_bytes)
    return int(rest // BYTES_PER_GAUSSIAN)
