"""Conversion of SH between the form that is trained and the form of files."""

from __future__ import annotations

from dataclasses import replace

from sfumato.maths.colour_logits import logits_from_colours
from sfumato.maths.sh import SH_C0
from sfumato.maths.sh_projection import projected_sh
from sfumato.scene.gaussians import Gaussians

# Factors on the learning rates of colours: the slope of a sigmoid is at most a quarter.
RATE = {"sh": 1.0, "sh-sigmoid": 4.0, "logit": 1.0}


def trained_form(gaussians: Gaussians, form: str) -> Gaussians:
    """Convert a scene from the colour form of files to ``form`` of ``ops.colour``.

    "logit" keeps the mean colour only, with one row of ``sh``.
    """
    if form == "logit":
        return replace(gaussians, sh=logits_from_colours(0.5 + SH_C0 * gaussians.sh[:, 0])[:, None])
    if form == "sh-sigmoid":
        return replace(gaussians, sh=projected_sh(gaussians.sh, lambda s: logits_from_colours(s + 0.5)))
    return gaussians


def file_form(gaussians: Gaussians, form: str) -> Gaussians:
    """Convert a scene that was trained in ``form`` to the colour form of files, colour = 0.5 + sum.

    For "sh-sigmoid" this is a least-squares approximation over all directions.
    """
    if form == "logit":
        return replace(gaussians, sh=((gaussians.sh.sigmoid() - 0.5) / SH_C0))
    if form == "sh-sigmoid":
        return replace(gaussians, sh=projected_sh(gaussians.sh, lambda s: s.sigmoid() - 0.5))
    return gaussians
