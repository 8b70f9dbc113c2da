"""The results of a run: metrics, renders of held-out views and training curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sfumato.capture.dataset import Capture
from sfumato.display import Display
from sfumato.evaluation.chart import read_events, training_chart
from sfumato.evaluation.held_out import Report
from sfumato.evaluation.metrics_file import write_metrics
from sfumato.evaluation.sheet import contact_sheet
from sfumato.evaluation.verdict import verdict
from sfumato.runs.folder import RunFolder
from sfumato.runs.held_out_evaluation import EvaluationOptions, EvaluationResult, evaluate_held_out
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig
from sfumato.training.plan import sides

# An affine fit always gains a little; a gain above the first value means varying exposure, if the fitted PSNR
# reaches the second: scenes after some tens of steps gain 3 dB as well, and reach up to 21 dB after the fit.
_AFFINE_WORTH_SAYING_DB, _AFFINE_OF_TRAINED_DB = 1.0, 22.0


def write_results(
    folder: RunFolder,
    gaussians: Gaussians,
    capture: Capture,
    config: TrainConfig,
    facts: Mapping[str, object],
    display: Display,
    how: EvaluationOptions | None = None,
) -> Report:
    """Measure a scene on the held-out views and write ``metrics.json`` and pictures.

    Args:
        folder: of the run.
        gaussians: the scene.
        capture: the training data.
        config: options of training.
        facts: steps, seconds, gaussians and peak_memory_bytes, for ``metrics.json``.
        display: shows the result.
        how: size, number and deadline of the comparison; None: all views, at the size of training.

    Returns:
        The quality at the size of training, or the requested one.

    Raises:
        ConfigError: the requested size is larger than the photographs, or too small.
        SfumatoError: a file cannot be written.
    """
    found = evaluate_held_out(
        gaussians, capture, config, folder.test_renders, display, how or EvaluationOptions()
    )
    write_metrics(
        folder.metrics,
        found.report,
        native=found.native,
        train=facts,
        split_rule=capture.split_rule,
        original_size_px=capture.original_size_px,
    )
    if found.report.views:
        contact_sheet(found.report, folder.test_renders, folder.sheet)
    display.say(describe(found, facts))
    for words in remarks(found.report):
        display.say(words)
    steps = facts.get("steps")
    quality = verdict(
        found.report.psnr,
        photographs=len(capture.train_views),
        steps=steps if isinstance(steps, int) else None,
    )
    if quality:
        display.say(quality)
    return found.report


def draw_chart(folder: RunFolder) -> None:
    """Draw the training curves of ``events.jsonl``, if it has any."""
    events = read_events(folder.events) if folder.events.exists() else []
    if any("loss" in event for event in events):
        training_chart(events, folder.chart)


def describe(found: EvaluationResult, facts: Mapping[str, object]) -> str:
    """The result in one line."""
    report, native = found.report, found.native
    words = _scores(report)
    compared, left_out = len(report.views), len(report.left_out)
    of_all = f"{compared} of {compared + left_out}" if left_out else f"{compared}"
    words += [f"on {of_all} held-out views"] if words else ["no held-out views"]
    if report.kept is not None:
        words.append(f"over the {report.kept:.1%} of their pixels that masks keep")
    if native is not report and native.psnr is not None and native.size_px and report.size_px:
        words[0] = f"at {sides(report.size_px)} {words[0]}"
        views = f" on {len(native.views)} of them" if len(native.views) < compared else ""
        words.append(f"at {sides(native.size_px)}{views} {', '.join(_scores(native))}")
    count, steps, seconds = (facts.get(key) for key in ("gaussians", "steps", "seconds"))
    if count is not None and steps is not None and seconds is not None:
        words.append(f"{count:,} Gaussians, {steps:,} steps in {seconds:.1f} s")
    return ", ".join(words)


def _scores(report: Report) -> list[str]:
    """The measured means, each with its name."""
    words = []
    if report.psnr is not None and report.ssim is not None:
        words += [f"PSNR {report.psnr:.2f} dB", f"SSIM {report.ssim:.4f}"]
    if report.lpips is not None:
        words.append(f"LPIPS {report.lpips:.4f}")
    return words


def remarks(report: Report) -> Iterator[str]:
    """Further remarks on the result, each in one line."""
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
