"""Logging and display of a run, which never change its state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from sfumato.capture.dataset import View, reduction_of
from sfumato.display import Display
from sfumato.errors import SfumatoError
from sfumato.evaluation.held_out import Report, composited, kept_pixels
from sfumato.evaluation.metrics import psnr
from sfumato.evaluation.scenes import drawn
from sfumato.runs.folder import EventLog
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of
from sfumato.training.schedules import downscale_at
from sfumato.training.state import TrainState
from sfumato.training.step import StepStats

# Fraction of the time for measuring quality during training, largest number of views, and number of times.
PREVIEW_SHARE = 0.02
_PREVIEW_VIEWS = 4
_PREVIEWS = 20
# Least interval of reports, and about how many of them a long run has.
_REPORT_EVERY_S = 0.2
_REPORTS = 400
_SMOOTHING = 0.98


@dataclass(frozen=True)
class HeldOutPsnr:
    """PSNR of a few held-out views at one time.

    Attributes:
        psnr: mean over the views, decibels.
        views: number of views.
    """

    psnr: float
    views: int

    def words(self) -> str:
        """The value with the number of views."""
        views = f"{self.views} views" if self.views > 1 else "1 view"
        return f"{self.psnr:.1f} dB on {views}"


@dataclass(frozen=True)
class ProgressFigures:
    """Displayed values of a run at one time.

    Attributes:
        progress: fraction that is done.
        budget: completed steps, as text.
        rate: steps per second; 0: not known yet.
        loss: smoothed.
        gaussians: number of them.
        size_px: current (width, height) of the pictures.
        quality: latest on held-out views, or None.
        remaining_s: estimated seconds left; None: not known yet.
    """

    progress: float
    budget: str
    rate: float
    loss: float
    gaussians: int
    size_px: tuple[int, int]
    quality: HeldOutPsnr | None
    remaining_s: float | None

    def words(self) -> list[str]:
        """Each value with its unit, the most important first."""
        return [
            *([self.quality.words()] if self.quality is not None else []),
            f"{self.gaussians:,} Gaussians",
            self.budget,
            *([f"{self.rate:.1f} steps/s"] if self.rate else []),
            f"{self.size_px[0]}x{self.size_px[1]}",
            f"loss {self.loss:.4f}",
        ]


class Recorder:
    """A training callback: reports, display, and detection of divergence.

    Args:
        config: of the run, with a budget.
        events: receives the reports.
        display: shows the values.
        test_views: held-out views, a few of which are rendered from time to time.
        size_px: (width, height) of the largest photograph.
    """

    def __init__(
        self,
        config: TrainConfig,
        events: EventLog,
        display: Display,
        test_views: Sequence[View],
        size_px: tuple[int, int],
    ) -> None:
        self._config, self._events, self._display, self._size_px = config, events, display, size_px
        self._previews = HeldOutPreviews(test_views, config)
        self._loss = _Smoothed()
        self._rate = _Rate()
        self._quality: HeldOutPsnr | None = None
        self._reported_s = -math.inf

    def __call__(self, state: TrainState, stats: StepStats) -> None:
        loss = stats.loss
        if not math.isfinite(loss):
            raise SfumatoError(
                f"training diverged at step {state.step}: the loss is {loss}; lower the --rates, "
                "or --resume from the last checkpoint"
            )
        if not state.num_gaussians:
            raise SfumatoError(
                f"no Gaussians are left after step {state.step}: all were pruned; lower --adc.prune-opacity, "
                "raise --adc.prune-scale, or check the cameras"
            )
        self._loss.add(loss)
        progress = state.progress
        found = self._previews.measure(state, progress)
        self._quality = self._quality if found is None else found
        if found is not None or self._is_report_due(state, progress):
            self.report(state, found)
        if self._display.is_due:
            figures = self._figures(state, progress)
            self._display.show(progress, "training", figures.words(), left_s=figures.remaining_s)

    def finish(self, state: TrainState, report: Report) -> None:
        """Write the last line of ``events.jsonl``: the quality of the sampled held-out views, and of all."""
        watched = [score.psnr for score in report.views if score.name in self._previews.names]
        watched = [value for value in watched if not math.isnan(value)]
        quality = HeldOutPsnr(fmean(watched), len(watched)) if watched else None
        self.report(state, quality, whole=report)

    def report(self, state: TrainState, quality: HeldOutPsnr | None, *, whole: Report | None = None) -> None:
        """Write a line of ``events.jsonl``.

        Args:
            state: of the run.
            quality: of the sampled held-out views, if it was measured.
            whole: quality of all held-out views, if it was measured.
        """
        self._reported_s = state.seconds
        event = {"step": state.step, "seconds": round(state.seconds, 3), "gaussians": state.num_gaussians}
        if self._loss.value is not None:
            event["loss"] = round(self._loss.value, 6)
        if quality is not None and math.isfinite(quality.psnr):
            event |= {"psnr": round(quality.psnr, 4), "psnr_views": quality.views}
        if whole is not None and whole.psnr is not None and math.isfinite(whole.psnr):
            event |= {"psnr_all": round(whole.psnr, 4), "psnr_all_views": len(whole.views)}
        self._events.write(event)

    def _is_report_due(self, state: TrainState, progress: float) -> bool:
        wait = max(_REPORT_EVERY_S, state.seconds / _REPORTS)
        return progress >= 1 or state.seconds - self._reported_s >= wait

    def _figures(self, state: TrainState, progress: float) -> ProgressFigures:
        rate, config = self._rate.at(state.step), self._config
        if config.steps:
            budget = f"{state.step:,}/{config.steps:,} steps"
            remaining_s = (config.steps - state.step) / rate if rate else None
        else:
            whole_s = 60 * (config.minutes or 0.0)
            budget = f"step {state.step:,}"
            remaining_s = whole_s - state.seconds
        downscale = downscale_at(config.schedule, progress)
        size_px = (self._size_px[0] // downscale, self._size_px[1] // downscale)
        return ProgressFigures(
            progress,
            budget,
            rate,
            self._loss.value or 0.0,
            state.num_gaussians,
            size_px,
            self._quality,
            remaining_s,
        )


class HeldOutPreviews:
    """PSNR of a few held-out views at a few times of a run, within a fraction of its time.

    Args:
        views: the held-out views.
        config: of the run.
    """

    def __init__(self, views: Sequence[View], config: TrainConfig) -> None:
        every = max(1, math.ceil(len(views) / _PREVIEW_VIEWS))
        self._views = views[::every]
        self._config = config
        self._next = 1 / _PREVIEWS
        self._spent_s = self._last_s = 0.0
        self._began: tuple[int, float] | None = None

    @property
    def names(self) -> frozenset[str]:
        """Names of the sampled views."""
        return frozenset(view.name for view in self._views)

    def measure(self, state: TrainState, progress: float) -> HeldOutPsnr | None:
        """The current quality, if a measurement is due."""
        if self._began is None:
            self._began = (state.step, state.seconds)
            return None
        steps, seconds = state.step - self._began[0], state.seconds - self._began[1]
        cost = self._last_s or len(self._views) * seconds / max(steps, 1)
        too_expensive = self._spent_s + cost > PREVIEW_SHARE * seconds
        if not self._views or too_expensive or progress < self._next or progress >= 1:
            return None
        self._next = progress + 1 / _PREVIEWS
        start = time.perf_counter()
        found = self._quality(state)
        self._last_s = time.perf_counter() - start
        self._spent_s += self._last_s
        return found

    def _quality(self, state: TrainState) -> HeldOutPsnr | None:
        reduction = reduction_of(state.views)
        render = drawn(state.gaussians, settings_of(self._config, state.background, reduction=reduction))
        with torch.no_grad():
            found = [self._psnr(render(view.camera), view, state.background) for view in self._views]
        found = [value for value in found if not math.isnan(value)]
        return HeldOutPsnr(fmean(found), len(found)) if found else None

    @staticmethod
    def _psnr(image: Tensor, view: View, background: tuple[float, float, float]) -> float:
        pixels = view.load()
        return psnr(image, composited(pixels, background), kept_pixels(pixels))


@dataclass
class _Smoothed:
    """An exponential moving average with bias correction."""

    value: float | None = None
    _sum: float = 0.0
    _weight: float = 0.0

    def add(self, value: float) -> None:
        self._sum = _SMOOTHING * self._sum + (1 - _SMOOTHING) * value
        self._weight = _SMOOTHING * self._weight + (1 - _SMOOTHING)
        self.value = self._sum / self._weight


class _Rate:
    """Smoothed steps per second between calls."""

    def __init__(self, clock_s: Callable[[], float] = time.perf_counter) -> None:
        self._clock_s = clock_s
        self._last: tuple[int, float] | None = None
        self._rate = 0.0

    def at(self, step: int) -> float:
        now = self._clock_s()
        if self._last and now > self._last[1]:
            recent = (step - self._last[0]) / (now - self._last[1])
            self._rate = recent if not self._rate else 0.7 * self._rate + 0.3 * recent
        self._last = (step, now)
        return self._rate
