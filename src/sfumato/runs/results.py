"""The results of a run: metrics, renders of held-out views and training curves."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from sfumato.capture.dataset import Capture
from sfumato.display import Display
from sfumato.evaluation.chart import read_events, training_chart
from sfumato.evaluation.held_out import Report
from sfumato.evaluation.metrics_file import write_metrics
from sfumato.evaluation.scenes import evaluate
from sfumato.evaluation.sheet import contact_sheet
from sfumato.ops.backend import HOST
from sfumato.runs.folder import RunFolder
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of
from sfumato.training.state import start

# Views that are compared in any case, and how much longer each takes once the scene is dense.
_FEWEST_COMPARED, _MORE_WITH_GAUSSIANS = 8, 1.5

# Any fit gains a little; more is a matter of exposure, once the scene shows what the photographs show:
# scenes of some tens of steps reach up to 21 dB after the fit, and gain 3 dB by it.
_AFFINE_WORTH_SAYING_DB, _AFFINE_OF_TRAINED_DB = 1.0, 22.0


def write_results(
    folder: RunFolder,
    gaussians: Gaussians,
    capture: Capture,
    config: TrainConfig,
    facts: Mapping[str, object],
    display: Display,
    *,
    until_s: float = math.inf,
) -> Report:
    """Measure a scene on the held-out views and write ``metrics.json`` and pictures.

    Args:
        folder: of the run.
        gaussians: the scene.
        capture: what it was trained on.
        config: how.
        facts: steps, seconds, gaussians and peak_memory_bytes, for ``metrics.json``.
        display: where the outcome is shown.
        until_s: moment of the monotonic clock after which only the fewest views are compared.

    Raises:
        SfumatoError: a file cannot be written.
    """
    views = capture.test_views
    began_s = time.monotonic()
    if views:
        display.say(f"comparing {len(views)} held-out views")
    with display.counting("comparing", "held-out views") as report_count:

        def progress(done: int, total: int) -> bool:
            report_count(done, total)
            now_s = time.monotonic()
            return done < _FEWEST_COMPARED or now_s + (now_s - began_s) / done <= until_s

        report = evaluate(
            gaussians,
            views,
            settings_of(config, capture.render_background),
            folder=folder.test_renders,
            progress=progress,
        )
    write_metrics(
        folder.metrics,
        report,
        train=facts,
        split_rule=capture.split_rule,
        original_size_px=capture.original_size_px,
    )
    if views:
        contact_sheet(report, folder.test_renders, folder.sheet)
    display.say(describe(report, facts))
    for words in remarks(report):
        display.say(words)
    return report


def seconds_to_compare(capture: Capture, config: TrainConfig, device: torch.device = HOST) -> float:
    """Seconds that comparing all held-out views will take, about: two of them are compared now.

    Args:
        capture: whose points alone are drawn.
        config: how it will be trained.
        device: what to compute on.
    """
    views, moments = capture.test_views, [time.monotonic()]
    points = start(capture, config, cap=max(len(capture.points), 1), device=device).gaussians
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        evaluate(
            points,
            views[:2],
            settings_of(config, capture.render_background),
            folder=Path(folder),
            progress=lambda done, total: moments.append(time.monotonic()),
        )
    # The first one also pays for what is done once.
    each_s = moments[-1] - moments[-2] if views else 0.0
    return moments[-1] - moments[0] + _MORE_WITH_GAUSSIANS * each_s * len(views)


def draw_chart(folder: RunFolder) -> None:
    """Draw the curves of ``events.jsonl``, if there are any."""
    events = read_events(folder.events) if folder.events.exists() else []
    if any("loss" in event for event in events):
        training_chart(events, folder.chart)


def describe(report: Report, facts: Mapping[str, object]) -> str:
    """The outcome in one line."""
    words = []
    if report.psnr is not None and report.ssim is not None:
        words += [f"PSNR {report.psnr:.2f} dB", f"SSIM {report.ssim:.4f}"]
    if report.lpips is not None:
        words.append(f"LPIPS {report.lpips:.4f}")
    compared, left_out = len(report.views), len(report.left_out)
    of_all = f"{compared} of {compared + left_out}" if left_out else f"{compared}"
    words += [f"on {of_all} held-out views"] if words else ["no held-out views"]
    if report.kept is not None:
        words.append(f"over the {report.kept:.1%} of their pixels that masks keep")
    count, steps, seconds = (facts.get(key) for key in ("gaussians", "steps", "seconds"))
    if count is not None and steps is not None and seconds is not None:
        words.append(f"{count:,} Gaussians, {steps:,} steps in {seconds:.1f} s")
    return ", ".join(words)


def remarks(report: Report) -> Iterator[str]:
    """What else there is to say about the outcome, each in one line."""
    nothing = [view.name for view in report.views if view.kept == 0.0]
    if nothing:
        yield f"masks keep no pixel of {len(nothing)} held-out views, which do not count: {nothing[0]!r}"
    plain, affine = report.psnr, report.psnr_affine
    if plain is None or affine is None:
        return
    if affine >= _AFFINE_OF_TRAINED_DB and affine - plain > _AFFINE_WORTH_SAYING_DB:
        yield (
            f"PSNR is {affine:.2f} dB after an affine colour for each view (gain and offset of each "
            "channel): photographs differ from the scene in brightness or tint"
        )
