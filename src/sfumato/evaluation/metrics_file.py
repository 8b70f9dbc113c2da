"""`metrics.json`: the quality of a scene on held-out views, and the conditions of its measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from sfumato.evaluation.held_out import Report
from sfumato.machine import environment
from sfumato.outputs import write_json

SPLIT_RULE = "every 8th, sorted by name"


def write_metrics(
    path: Path,
    report: Report,
    *,
    train: Mapping[str, object],
    native: Report | None = None,
    split_rule: str = SPLIT_RULE,
    original_size_px: tuple[int, int] | None = None,
) -> None:
    """Write ``metrics.json`` in one piece; a mean that is infinite or was not measured is null.

    Args:
        path: the file.
        report: from :func:`score_views`.
        train: steps, seconds, gaussians, peak_memory_bytes.
        native: report of the same views, or some of them, at native size; None: ``report``.
        split_rule: how the held-out views were chosen.
        original_size_px: (width, height) of the largest photograph before reduction, if known.

    Raises:
        SfumatoError: the file cannot be written.
    """
    native = native or report
    document = {
        "version": 1,
        "split": {
            "rule": split_rule,
            "test": [view.name for view in report.views],
            **_left_out(report),
        },
        "resolution": _sides(report.size_px),
        "original_resolution": _sides(original_size_px),
        "background": list(report.background),
        "downscale": "area average",
        "quantised": False,
        "pixels": "all" if report.kept is None else "kept by masks",
        "kept": report.kept,
        "test": _scores(report),
        "native": {"size_px": _sides(native.size_px), **_scores(native), **_left_out(native)},
        "train": dict(train),
        "environment": environment(),
    }
    write_json(path, document)


def _scores(report: Report) -> dict[str, object]:
    """Means and the scores of each view."""
    views = [
        {
            "name": view.name,
            "psnr": _finite(view.psnr),
            "psnr_affine": _finite(view.psnr_affine),
            "ssim": _finite(view.ssim),
            "lpips": view.lpips,
            "kept": view.kept,
        }
        for view in report.views
    ]
    return {
        "psnr": _finite(report.psnr),
        "psnr_affine": _finite(report.psnr_affine),
        "ssim": _finite(report.ssim),
        "lpips": report.lpips,
        "lpips_net": report.lpips_net,
        "lpips_note": report.lpips_note,
        "views": views,
    }


def _left_out(report: Report) -> dict[str, object]:
    return {"not_compared": list(report.left_out)} if report.left_out else {}


def _sides(size_px: tuple[int, int] | None) -> list[int] | None:
    return list(size_px) if size_px else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
