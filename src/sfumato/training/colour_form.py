"""Conversion of SH between the form that is trained and the form of files."""

from __future__ import annotations

from dataclasses import replace

from sfumato.maths.colour_logits import logits_from_colours
from sfumato.maths.sh import SH_C0
from sfumato.maths.sh_projection import projected_sh
from sfumato.scene.gaussians import Gaussians

# Times the rates of the colours: a sigmoid is a fourth as steep as what it is taken of.
RATE = {"sh": 1.0, "sh-sigmoid": 4.0, "logit": 1.0}


def trained_form(gaussians: Gaussians, form: str) -> Gaussians:
    """A scene whose ``sh`` are what ``ops.colour`` reads for ``form``, from one in the form of files.

    "logit" keeps the mean colour alone, with one row of ``sh``.
    """
    if form == "logit":
        return replace(gaussians, sh=logits_from_colours(0.5 + SH_C0 * gaussians.sh[:, 0])[:, None])
    if form == "sh-sigmoid":
        return replace(gaussians, sh=projected_sh(gaussians.sh, lambda s: logits_from_colours(s + 0.5)))
    return gaussians


def file_form(gaussians: Gaussians, form: str) -> Gaussians:
    """The scene in the form of files, colour = 0.5 + sum, from one that was trained in ``form``.

    Of "sh-sigmoid" the nearest over all directions, which is not quite the same.
    """
    if form == "logit":
        return replace(gaussians, sh=((gaussians.sh.sigmoid() - 0.5) / SH_C0))
    if form == "sh-sigmoid":
        return replace(gaussians, sh=projected_sh(gaussians.sh, lambda s: s.sigmoid() - 0.5))
    return gaussians
