"""The expected colour error of a view, whether it was photographed or not.

A Gaussian with the mean error r in the training views, seen from a place with the displacement δ from the
nearest of the views that have seen it, has the value (r + r₀)^a · (δ + δ₀)^b: the value grows with the error
in the training views and with the distance from them. The displacement of a view at c from a view at c′ for a
Gaussian at μ is ‖c − c′‖ / min(‖c − μ‖, ‖c′ − μ‖): about the angle between the two directions for views at
equal distance, and the relative change of distance for views in one direction. The values are blended like
colours, and multiplied by ((D + D₀) / (D₁ + D₀))^c, where D is the deviation of the renders of the scene
trained again on half of the photographs (``Refits``), and D₁ the usual one. A pixel with the value x has the
expected error s · x^p, which is the median of the errors of such pixels.

GS-U (2026) and PRIMU (arXiv 2508.02443) store uncertainty per Gaussian too, fitted for each scene. Here the
two exponents are the same for all scenes; s, p and the distribution of errors are calibrated on held-out
views.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from sfumato.envelope.blended_values import painted
from sfumato.envelope.refits import Refits
from sfumato.envelope.sightings import Sightings
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

# Least squares on log errors of held-out pixels of six captures, inside and outside the envelope, gave 0.9 to
# 1.1 and 0.2 to 0.3 in leave-one-out fits.
RESIDUAL_EXPONENT, DISPLACEMENT_EXPONENT = 1.0, 0.3
RESIDUAL_OFFSET, DISPLACEMENT_OFFSET = 0.005, 0.1
# Rank correlations of pixels differed by at most 0.05 for exponents of 0.3 to 0.75, offsets of 0.001 to 0.015
# and boxes of 2% to 16% of the image; larger exponents suited scenes under constant light, smaller ones the
# others.
DEVIATION_EXPONENT, DEVIATION_OFFSET = 0.4, 0.002
QUANTILES = 32


def levels(count: int) -> np.ndarray:
    """Levels of quantiles, [count]."""
    return (np.arange(count) + 0.5) / count


# By default the logarithm of errors has a logistic distribution of this width.
_WIDTH = 0.55
SCALE, POWER = 2.0, 1.1
LOG_RATIOS = tuple(float(_WIDTH * math.log(level / (1 - level))) for level in levels(QUANTILES))
# Upper bound of the displacement, which Gaussians have that no view has seen.
FARTHEST = 4.0
# Pairs of Gaussians and places per chunk, which bounds memory.
_AT_ONCE = 1 << 22
# Distances from differences of positions: the matrix-product formula cancels for large coordinates.
EXACT = "donot_use_mm_for_euclid_dist"
_LEAST_DISTANCE, _LEAST_EXPECTED = 1e-30, 1e-12


@dataclass(frozen=True)
class Calibration:
    """From values of pixels to errors.

    Attributes:
        scale, power: s and p of the formula above.
        anchors: [g] expected errors at which the distribution of errors is known, ascending; between two of
            them it is interpolated, linearly in their logarithms.
        log_ratios: [g] rows of q quantiles of ln(error / expected error), at the levels (i + 1/2) / q,
            ascending.
    """

    scale: float = SCALE
    power: float = POWER
    anchors: tuple[float, ...] = (1.0,)
    log_ratios: tuple[tuple[float, ...], ...] = (LOG_RATIOS,)

    def expected(self, values: Tensor) -> Tensor:
        """The expected errors of pixels with these values, of any shape; at most 1."""
        return (self.scale * values**self.power).clamp(max=1.0)

    def chance_within(self, expected: Tensor, error: float) -> Tensor:
        """Probability that the error of pixels is at most ``error``, given the expected one, of any shape."""
        ratios = np.log(error / expected.double().clamp_min(_LEAST_EXPECTED).numpy())
        chances = [torch.from_numpy(np.interp(ratios, row, levels(len(row)))) for row in self.log_ratios]
        return self._interpolated(chances, expected)

    def mean_square(self, expected: Tensor) -> Tensor:
        """The expected squared error of pixels, given the expected error, of any shape."""
        squares = []
        for row in self.log_ratios:
            total = torch.zeros_like(expected)
            for ratio in row:
                total += (expected * math.exp(ratio)).clamp(max=1.0) ** 2
            squares.append(total / len(row))
        return self._interpolated(squares, expected)

    def _interpolated(self, known: list[Tensor], expected: Tensor) -> Tensor:
        """Interpolates values that are known at each anchor, all of the shape of ``expected``."""
        at = expected.double().clamp_min(_LEAST_EXPECTED).log()
        marks, result = [math.log(anchor) for anchor in self.anchors], known[0]
        for (low, high), above in zip(itertools.pairwise(marks), known[1:], strict=True):
            share = ((at - low) / (high - low)).clamp(0, 1).to(above)
            result = torch.lerp(result, above, share)
        return result


@dataclass(frozen=True)
class Trust:
    """Expected errors of a scene from any viewpoint.

    Attributes:
        gaussians: the scene.
        evidence: from its training views.
        settings: of the renderer.
        calibration: from values of pixels to errors.
        refits: of the scene, from its training views; None: deviations are not known, and count as usual.
    """

    gaussians: Gaussians
    evidence: Sightings
    settings: Settings
    calibration: Calibration = field(default_factory=Calibration)
    refits: Refits | None = None

    @torch.no_grad()
    def render(self, camera: Camera) -> Tensor:
        """[h, w] the expected error of a view: the median of the absolute error, averaged over channels."""
        return self.calibration.expected(self.values_of_pixels(camera))

    @torch.no_grad()
    def values_of_pixels(self, camera: Camera) -> Tensor:
        """[h, w] the blended values of the Gaussians, times the deviation term."""
        values = self.values(camera.centre_world)[:, None].expand(-1, 3)
        blended, alpha = painted(self.gaussians, values, camera, self.settings)
        return self.of_pixels(blended[..., 0], alpha, camera)

    def of_pixels(self, blended: Tensor, alpha: Tensor, camera: Camera) -> Tensor:
        """[h, w] values of pixels, from the blended values of Gaussians and the opacity, both [h, w]."""
        return (blended + self.evidence.uncovered * (1 - alpha)) * self.deviation_term(camera)

    @torch.no_grad()
    def deviation_term(self, camera: Camera) -> Tensor:
        """((D + D₀) / (D₁ + D₀))^c of the formula above, [h, w]; all 1 where deviations are not known."""
        if self.refits is None:
            return torch.ones(camera.height, camera.width)
        apart = self.refits.deviation_of(self.gaussians, camera, self.settings)
        usual = self.refits.usual_deviation
        return ((apart + DEVIATION_OFFSET) / (usual + DEVIATION_OFFSET)) ** DEVIATION_EXPONENT

    @torch.no_grad()
    def values(self, centre: Tensor) -> Tensor:
        """[n] the value of each Gaussian seen from a place [3], world frame."""
        return displacement_term(self.displacements(centre)) * self.residual_term()

    def residual_term(self) -> Tensor:
        """(r + r₀)^a of the formula above, [n]."""
        return (self.evidence.residuals + RESIDUAL_OFFSET) ** RESIDUAL_EXPONENT

    @torch.no_grad()
    def displacements(self, centre: Tensor) -> Tensor:
        """[n] displacement δ, at most 4, of a place [3] from the nearest one that has seen each Gaussian."""
        places, means = self.evidence.places.to(self.gaussians.means), self.gaussians.means
        centre = centre.to(means)
        shift = (places - centre).norm(dim=1)
        nearest = torch.full((len(means),), FARTHEST)
        step = max(1, _AT_ONCE // len(places))
        for start in range(0, len(means), step):
            part = slice(start, start + step)
            here = (means[part] - centre).norm(dim=1)[:, None]
            there = torch.cdist(means[part], places, compute_mode=EXACT)
            away = shift / torch.minimum(here, there).clamp_min(_LEAST_DISTANCE)
            away = torch.where(self.evidence.seen[part], away, torch.tensor(FARTHEST))
            nearest[part] = away.amin(1).clamp(max=FARTHEST)
        return nearest

    def select(self, rows: Tensor) -> Trust:
        """The trust of the Gaussians at the indices ``rows`` [m]."""
        return replace(
            self,
            gaussians=self.gaussians.select(rows),
            evidence=self.evidence.select(rows),
            refits=self.refits and self.refits.select(rows),
        )


def displacement_term(away: Tensor) -> Tensor:
    """(δ + δ₀)^b of the formula above, of any shape."""
    return (away + DISPLACEMENT_OFFSET) ** DISPLACEMENT_EXPONENT


def decibels(mean_square: float) -> float:
    """PSNR of a mean squared error, peak 1."""
    return -10 * math.log10(max(mean_square, 1e-12))
