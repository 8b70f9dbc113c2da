"""``metrics.json`` of a tracked run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sfumato import machine
from sfumato.tracking.held_out_cameras import mean

_KINDS = ("psnr", "ssim", "psnr_affine", "psnr_changed")
# Metrics of a step that are not written for each step.
_LEFT_OUT = ("still", "ssim", "visits")


def metrics_of(
    rows: list[dict[str, Any]], cameras: Sequence[str], tracks: object, *, refine_seconds: float
) -> dict[str, Any]:
    """The document.

    Args:
        rows: metrics of each step, in order.
        cameras: names of the held-out cameras.
        tracks: errors against ground-truth tracks; None if there are none.
        refine_seconds: time of the training on all steps.
    """
    return {
        "version": 1,
        "kind": "dynamic",
        "test": {**_means(rows), "cameras": list(cameras)},
        "steps": [{key: value for key, value in row.items() if key not in _LEFT_OUT} for row in rows],
        "still": _means([row["still"] for row in rows]),
        "tracks": tracks,
        "train": {
            "seconds": round(sum(row["seconds"] for row in rows) + refine_seconds, 3),
            "first_step_seconds": rows[0]["seconds"],
            "refine_seconds": round(refine_seconds, 3),
            "gaussians": rows[-1]["gaussians"],
            "moving": rows[-1]["moving"],
            "peak_memory_bytes": machine.peak_memory_bytes(),
        },
    }


def _means(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {kind: mean([math.nan if row[kind] is None else row[kind] for row in rows]) for kind in _KINDS}
