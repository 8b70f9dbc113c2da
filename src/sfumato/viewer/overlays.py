"""Overlays of a scene: floaters, and the quality of each view."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.edit.clean import isolated
from sfumato.envelope.floaters import floaters_by_support
from sfumato.envelope.trust import Trust
from sfumato.maths.sh import SH_C0
from sfumato.scene.changes import in_colours
from sfumato.scene.gaussians import Gaussians

# Detecting floaters takes 20 to 40 microseconds per Gaussian: up to 20 seconds for this many.
MOST_GAUSSIANS = 500_000
# Colours of the page: floaters glow, other Gaussians are grey.
_GLOWING = (1.0, 0.31, 0.64)
_GREY, _LEAST_OPACITY = 0.42, 0.6


def find_floaters(gaussians: Gaussians, trust: Trust | None = None) -> Tensor | None:
    """Mask of the Gaussians that ``sfumato edit --clean`` removes, [n] bool; None for too large a scene.

    Args:
        gaussians: the scene.
        trust: its trust; None: unknown, so that isolated Gaussians count as floaters.
    """
    if len(gaussians) > MOST_GAUSSIANS:
        return None
    return floaters_by_support(gaussians, trust.evidence).mask if trust else isolated(gaussians)


def too_many(count: int) -> str | None:
    """A message that a scene is too large to detect floaters, or None if it is not."""
    if count <= MOST_GAUSSIANS:
        return None
    return f"floaters are looked for in up to {MOST_GAUSSIANS:,} Gaussians; sfumato edit --clean takes more"


def to_bits(mask: Tensor) -> bytes:
    """Pack a mask [n] into bits, the first in the lowest bit of the first byte."""
    return np.packbits(mask.cpu().numpy(), bitorder="little").tobytes()


def in_words(mask: Tensor) -> str:
    """The number of floaters, as a sentence."""
    count, n = int(mask.sum()), len(mask)
    return f"{count:,} of {n:,} Gaussians are floaters ({count / max(n, 1):.1%})"


def highlighted(gaussians: Gaussians, mask: Tensor) -> Gaussians:
    """The scene in grey, with the Gaussians of a mask [n] in a bright colour."""
    base = (0.5 + SH_C0 * gaussians.sh[:, 0]).clamp(0, 1)
    grey = _GREY * base.mean(dim=1, keepdim=True).expand_as(base)
    colours = torch.where(mask[:, None], base.new_tensor(_GLOWING), grey)
    least = gaussians.logit_opacities.clamp_min(math.log(_LEAST_OPACITY / (1 - _LEAST_OPACITY)))
    opacities = torch.where(mask, least, gaussians.logit_opacities)
    return replace(in_colours(gaussians, colours), logit_opacities=opacities)


def scores_of(metrics: Mapping[str, Any]) -> dict[str, tuple[float, float | None]]:
    """PSNR in decibels and SSIM of each view in a run's metrics, by name; the metrics are untrusted."""
    try:
        found = {view["name"]: (view["psnr"], view.get("ssim")) for view in metrics["test"]["views"]}
    except (KeyError, TypeError, AttributeError):
        return {}
    return {
        name: (float(psnr), float(ssim) if _is_number(ssim) else None)
        for name, (psnr, ssim) in found.items()
        if _is_number(psnr)
    }


def facts_of(metrics: Mapping[str, Any]) -> list[str]:
    """Short statements about the whole scene from a run's metrics; empty if there are none yet."""
    test = metrics.get("test")
    psnr = test.get("psnr") if isinstance(test, dict) else None
    where = ", in masks" if metrics.get("pixels") == "kept by masks" else ""
    return [f"{psnr:.2f} dB held out{where}"] if _is_number(psnr) else []


def _is_number(value: object) -> bool:
    # An integer may be too large for a float.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )
