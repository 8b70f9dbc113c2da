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
from sfumato.scene.gaussians import Gaussians

# Looking for floaters takes 20 to 40 microseconds a Gaussian: up to 20 seconds for as many as these.
MOST_GAUSSIANS = 500_000
# As the page shows them: what floats glows, and the rest is grey.
_GLOWING = (1.0, 0.31, 0.64)
_GREY, _LEAST_OPACITY = 0.42, 0.6


def find_floaters(gaussians: Gaussians, trust: Trust | None = None) -> Tensor | None:
    """Those that ``sfumato edit --clean`` removes, [n] bool; None where there are too many to look.

    Args:
        gaussians: the scene.
        trust: of it; None: not known, so that what is isolated floats.
    """
    if len(gaussians) > MOST_GAUSSIANS:
        return None
    return floaters_by_support(gaussians, trust.evidence).mask if trust else isolated(gaussians)


def too_many(count: int) -> str | None:
    """Why floaters are not looked for, or None where they are."""
    if count <= MOST_GAUSSIANS:
        return None
    return f"floaters are looked for in up to {MOST_GAUSSIANS:,} Gaussians; sfumato edit --clean takes more"


def to_bits(mask: Tensor) -> bytes:
    """A mask [n] as bits, the first in the lowest bit of the first byte."""
    return np.packbits(mask.cpu().numpy(), bitorder="little").tobytes()


def in_words(mask: Tensor) -> str:
    """How many float."""
    count, n = int(mask.sum()), len(mask)
    return f"{count:,} of {n:,} Gaussians are floaters ({count / max(n, 1):.1%})"


def highlighted(gaussians: Gaussians, mask: Tensor) -> Gaussians:
    """The scene in grey, with those of a mask [n] glowing in it."""
    base = (0.5 + SH_C0 * gaussians.sh[:, 0]).clamp(0, 1)
    grey = _GREY * base.mean(dim=1, keepdim=True).expand_as(base)
    colours = torch.where(mask[:, None], base.new_tensor(_GLOWING), grey)
    least = gaussians.logit_opacities.clamp_min(math.log(_LEAST_OPACITY / (1 - _LEAST_OPACITY)))
    return replace(
        gaussians,
        sh=((colours - 0.5) / SH_C0)[:, None],
        logit_opacities=torch.where(mask, least, gaussians.logit_opacities),
    )


def scores_of(metrics: Mapping[str, Any]) -> dict[str, tuple[float, float | None]]:
    """PSNR in decibels and SSIM of each view that a run's metrics know, by name; they are not trusted."""
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
    """What a run's metrics say of the whole scene, in few words; nothing where there are none yet."""
    test = metrics.get("test")
    psnr = test.get("psnr") if isinstance(test, dict) else None
    where = ", in masks" if metrics.get("pixels") == "kept by masks" else ""
    return [f"{psnr:.2f} dB held out{where}"] if _is_number(psnr) else []


def _is_number(value: object) -> bool:
    # A whole number may be too large for a float.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )
