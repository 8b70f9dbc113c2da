"""Evaluation of a scene on held-out photographs, at the size of training and at native size."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sfumato.capture.dataset import NATIVE_SIDE_PX, Capture, View, reduction_of
from sfumato.display import Display
from sfumato.errors import ConfigError
from sfumato.evaluation.held_out import Report
from sfumato.evaluation.scenes import evaluate
from sfumato.ops.backend import HOST
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig
from sfumato.training.plan import sides
from sfumato.training.render_settings import settings_of
from sfumato.training.state import start

# Least number of views that are compared, and factor by which each takes longer with a dense scene.
_LEAST_EVALUATED, _MORE_WITH_GAUSSIANS = 8, 1.5
# Number of views compared at native size after training with a time budget; ``sfumato eval`` compares all.
NATIVE_IN_A_BUDGET = 8
# Fraction of the time for evaluation that these may take.
_NATIVE_SHARE = 0.5
# Least side of the pictures that are compared.
_LEAST_SIDE_PX = 8


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of evaluating held-out views.

    Attributes:
        side_px: long side of the pictures; None: the size of training.
        most_native: largest number of views compared at native size, evenly spaced; None: all.
        until_s: deadline by the monotonic clock, after which only the least number of views is compared.
    """

    side_px: int | None = None
    most_native: int | None = None
    until_s: float = math.inf


@dataclass(frozen=True)
class EvaluationResult:
    """The quality of a scene.

    Attributes:
        report: on the held-out views, at the size of training or the requested one.
        native: on the same views at native size, with a long side of at most ``NATIVE_SIDE_PX``; identical to
            ``report`` if the sizes are equal.
    """

    report: Report
    native: Report


def evaluate_held_out(
    gaussians: Gaussians,
    capture: Capture,
    config: TrainConfig,
    folder: Path,
    display: Display,
    how: EvaluationOptions,
) -> EvaluationResult:
    """Evaluate a scene on the held-out photographs of a capture.

    Args:
        gaussians: the scene.
        capture: the dataset.
        config: of training, which determines the rendering at both sizes.
        folder: for pictures of the views, at the size of ``report``.
        display: shows progress.
        how: size and deadline.

    Raises:
        ConfigError: the size is larger than the photographs, or too small.
        SfumatoError: a picture cannot be written.
    """
    views, large = _at_requested_size(capture, how.side_px), _native(capture)
    background, native = capture.render_background, None
    if _sizes(large) != _sizes(views):
        began_s = time.monotonic()
        limit_s = began_s + _NATIVE_SHARE * (how.until_s - began_s)
        most = len(large) if how.most_native is None else how.most_native
        size = sides(_largest(large))
        display.say(f"evaluating {min(most, len(large))} held-out views at {size}")
        with display.counting("evaluating", f"held-out views at {size}") as count:
            progress = _until(limit_s, count, fewest=1, most=most)
            native = evaluate(gaussians, large, settings_of(config, background), progress=progress)
    if views:
        display.say(f"evaluating {len(views)} held-out views")
    with display.counting("evaluating", "held-out views") as count:
        progress = _until(how.until_s, count, fewest=_LEAST_EVALUATED, most=len(views))
        settings = settings_of(config, background, reduction=reduction_of(views) if views else 1.0)
        report = evaluate(gaussians, views, settings, folder=folder, progress=progress)
    return EvaluationResult(report, native or report)


def _at_requested_size(capture: Capture, side_px: int | None) -> tuple[View, ...]:
    """The held-out views with a long side of ``side_px``; None: unchanged."""
    if side_px is None:
        return capture.test_views
    longest = max(capture.original_size_px)
    if side_px > longest:
        raise ConfigError(
            f"--size is {side_px}, but the photographs are {longest} pixels long; give at most that"
        )
    views = tuple(view.at_side(side_px) for view in capture.test_views)
    for view in views:
        if min(view.camera.size_px) < _LEAST_SIDE_PX:
            size = sides(view.camera.size_px)
            raise ConfigError(f"--size {side_px} leaves {size} pixels of {view.name}; give a larger one")
    return views


def _native(capture: Capture) -> tuple[View, ...]:
    return tuple(view.at_side(NATIVE_SIDE_PX) for view in capture.test_views)


def _sizes(views: Sequence[View]) -> list[tuple[int, int]]:
    return [view.camera.size_px for view in views]


def _largest(views: Sequence[View]) -> tuple[int, int]:
    """(width, height) of the largest of one or more views."""
    return max(_sizes(views), key=math.prod)


def seconds_to_evaluate(capture: Capture, config: TrainConfig, device: torch.device = HOST) -> float:
    """Estimated seconds for evaluating the held-out views after training with a time budget.

    Two views are timed now, and one at native size.

    Args:
        capture: the dataset, of which the initial Gaussians are rendered.
        config: of training.
        device: of the scene.
    """
    views, began_s = capture.test_views, time.monotonic()
    large = _native(capture)
    points = start(capture, config, cap=max(len(capture.points), 1), device=device).gaussians
    settings, moments = settings_of(config, capture.render_background), [began_s]

    def note(done: int, total: int) -> None:
        moments.append(time.monotonic())

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        evaluate(points, views[:2], settings, folder=Path(folder), progress=note)
        # The first view includes one-time costs.
        each_s = moments[-1] - moments[-2] if views else 0.0
        native_s, count = 0.0, min(len(large), NATIVE_IN_A_BUDGET)
        if _sizes(large) != _sizes(views):
            moments.append(time.monotonic())
            evaluate(points, large[:1], settings, progress=note)
            native_s = moments[-1] - moments[-2]
    known_s = time.monotonic() - began_s
    return known_s + _MORE_WITH_GAUSSIANS * (each_s * len(views) + native_s * count)


def _until(
    limit_s: float, count: Callable[[int, int], None], *, fewest: int, most: int
) -> Callable[[int, int], bool]:
    """Progress callback that ends an evaluation at ``most`` views, or at the deadline after ``fewest``."""
    began_s = time.monotonic()

    def progress(done: int, total: int) -> bool:
        count(done, min(most, total))
        now_s = time.monotonic()
        return done < most and (done < fewest or now_s + (now_s - began_s) / done <= limit_s)

    return progress
