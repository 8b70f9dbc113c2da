"""Calibration of the expected error with the true errors of held-out views."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfumato.envelope.trust import POWER, QUANTILES, Calibration, Trust, levels
from sfumato.envelope.view_errors import errors_of
from sfumato.evaluation.held_out import HeldOutView
from sfumato.scene.cameras import Camera

# Stated probabilities are those of an error of at most this; they are compared in this many bins.
WITHIN = 0.05
_GROUPS = 10
# Groups of pixels whose distributions of errors are known each.
_ANCHORS = 5
# Number of pixels used of each view, evenly spaced.
_PIXELS = 20_000
# Smaller errors, below half a step of 8 bits, are raised to this.
_LEAST_ERROR = 0.5 / 255
# Bounds of the power: it is fitted inside the envelope and extrapolated to views outside.
_POWERS = (0.7, 1.6)


@dataclass(frozen=True)
class ViewErrors:
    """Errors of a held-out view at some of its pixels.

    Attributes:
        camera: of the view.
        values: [p] as of ``Trust.values_of_pixels``.
        measured: [p] as of ``errors_of``.
    """

    camera: Camera
    values: Tensor
    measured: Tensor


def compare(
    trust: Trust,
    views: Sequence[HeldOutView],
    *,
    progress: Callable[[int, int], object] | None = None,
) -> list[ViewErrors]:
    """Expected and true errors of held-out views; views whose mask keeps no pixel are skipped."""
    found = []
    for number, view in enumerate(views):
        keep, wrong = errors_of(trust.gaussians, view, trust.settings)
        if bool(keep.any()):
            step = max(1, int(keep.sum()) // _PIXELS)
            values = trust.values_of_pixels(view.camera)[keep]
            found.append(ViewErrors(view.camera, values[::step], wrong[keep][::step]))
        if progress:
            progress(number + 1, len(views))
    return found


def fitted(errors: Sequence[ViewErrors]) -> Calibration:
    """The calibration fitted to held-out views; the default one if there are none.

    The power is the slope of a line through the medians of bins of pixels, in logarithmic coordinates. The
    distribution of errors about it is that of five groups of pixels, as small errors scatter more.
    """
    if not errors:
        return Calibration()
    values = torch.cat([e.values for e in errors]).double().log().numpy()
    wrong = torch.cat([e.measured for e in errors]).double().clamp_min(_LEAST_ERROR).log().numpy()
    groups = np.array_split(np.argsort(values, kind="stable"), min(_GROUPS, len(values)))
    x, y = (np.array([np.median(of[rows]) for rows in groups]) for of in (values, wrong))
    spread = ((x - x.mean()) ** 2).sum()
    power = ((x - x.mean()) * (y - y.mean())).sum() / spread if spread > 0 else POWER
    power = float(np.clip(power, *_POWERS))
    left = wrong - power * values
    middle = float(np.median(left))
    anchors: dict[float, tuple[float, ...]] = {}
    for rows in np.array_split(np.argsort(values, kind="stable"), min(_ANCHORS, len(values))):
        ratios = np.quantile(left[rows] - middle, levels(QUANTILES))
        anchors[math.exp(middle + power * float(np.median(values[rows])))] = tuple(map(float, ratios))
    return Calibration(math.exp(middle), power, tuple(anchors), tuple(anchors.values()))


def shares(calibration: Calibration, errors: Sequence[ViewErrors]) -> list[dict[str, float]]:
    """The stated probability of an error of at most 0.05, and the measured share of such pixels.

    Ten bins of equal size by stated probability; fewer if there are fewer pixels.
    """
    if not errors:
        return []
    stated = torch.cat(
        [calibration.chance_within(calibration.expected(e.values), WITHIN) for e in errors]
    ).numpy()
    is_within = (torch.cat([e.measured for e in errors]) <= WITHIN).numpy()
    groups = np.array_split(np.argsort(stated, kind="stable"), min(_GROUPS, len(stated)))
    return [
        {"stated": float(stated[rows].mean()), "measured": float(is_within[rows].mean())} for rows in groups
    ]


def crossed_shares(errors: Sequence[ViewErrors]) -> list[dict[str, float]]:
    """``shares`` of views that the calibration has not seen.

    Each half of the views is measured with the calibration of the other, and the two are averaged; none with
    fewer than two views.
    """
    halves = errors[::2], errors[1::2]
    if not all(halves):
        return []
    rows = [shares(fitted(other), own) for own, other in (halves, halves[::-1])]
    return [
        {key: (one[key] + other[key]) / 2 for key in ("stated", "measured")}
        for one, other in zip(*rows, strict=True)
    ]


def rank_correlations(errors: Sequence[ViewErrors]) -> tuple[float | None, float | None]:
    """Spearman's rank correlation of expected and true errors: of pixels, and of means of views."""
    if not errors:
        return None, None
    expected, measured = ([getattr(e, name) for e in errors] for name in ("values", "measured"))
    return (
        _spearman(torch.cat(expected), torch.cat(measured)),
        _spearman(*(torch.stack([values.mean() for values in kind]) for kind in (expected, measured))),
    )


def _spearman(one: Tensor, other: Tensor) -> float | None:
    if len(one) < 3 or float(one.min()) == float(one.max()) or float(other.min()) == float(other.max()):
        return None
    # Imported here, as it takes longer to import than to compute.
    from scipy.stats import spearmanr

    return float(spearmanr(one.double().numpy(), other.double().numpy()).statistic)
