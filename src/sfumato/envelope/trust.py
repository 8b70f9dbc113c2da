"""The expected colour error of a view, whether it was photographed or not.

A Gaussian that training views saw with the mean error r, and that now is seen from a place whose displacement
from the nearest of those views is δ, is given the value (r + r₀)^a · (δ + δ₀)^b: it is wrong where it was
wrong already, and the more so the farther one stands from where it was seen. The displacement of a view at
c from one at c′ for a Gaussian at μ is ‖c − c′‖ / min(‖c − μ‖, ‖c′ − μ‖): about the angle between the two
directions for views at one distance, and how many times nearer one is for views in one direction. The values
are blended as colours are, and a pixel of the value x has the expected error s · x^p, the median of the
errors of such pixels.

GS-U (2026) and PRIMU (arXiv 2508.02443) have channels of uncertainty of each Gaussian too; theirs are fitted
for each scene, ours has two exponents for all scenes, and what held-out views tell of s, p and the
distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from sfumato.envelope.blended_values import painted
from sfumato.envelope.sightings import Sightings
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

# Least squares on the logarithm of errors of held-out pixels of six captures, in the envelope and out of it,
# gave 0.9 to 1.1 and 0.2 to 0.3, with each capture left out once.
RESIDUAL_EXPONENT, DISPLACEMENT_EXPONENT = 1.0, 0.3
RESIDUAL_OFFSET, DISPLACEMENT_OFFSET = 0.005, 0.1
QUANTILES = 32


def levels(count: int) -> np.ndarray:
    """Levels of quantiles, [count]."""
    return (np.arange(count) + 0.5) / count


# As of errors whose logarithm has a logistic distribution of this width.
_WIDTH = 0.55
SCALE, POWER = 2.0, 1.1
LOG_RATIOS = tuple(float(_WIDTH * math.log(level / (1 - level))) for level in levels(QUANTILES))
# Seen from no view at all is as if seen from this far.
FARTHEST = 4.0
# Value of what no Gaussian covers: the difference of two colours chosen at random.
UNCOVERED = 1 / 3
# Of the products of many Gaussians and places, how many are computed at once.
_AT_ONCE = 1 << 22
# Distances as differences of positions: by the formula with products far coordinates lose their digits.
EXACT = "donot_use_mm_for_euclid_dist"
_LEAST_DISTANCE = 1e-30


@dataclass(frozen=True)
class Calibration:
    """From values of pixels to errors.

    Attributes:
        scale, power: s and p of the formula above.
        log_ratios: [q] quantiles of ln(error / expected error), at the levels (i + 1/2) / q, ascending.
    """

    scale: float = SCALE
    power: float = POWER
    log_ratios: tuple[float, ...] = LOG_RATIOS

    def expected(self, values: Tensor) -> Tensor:
        """The expected errors of pixels with these values, of any shape; at most 1."""
        return (self.scale * values**self.power).clamp(max=1.0)

    def chance_within(self, expected: Tensor, error: float) -> Tensor:
        """Probability that the error of pixels is at most ``error``, given the expected one, of any shape."""
        ratios = np.log(error / expected.double().clamp_min(1e-12).numpy())
        return torch.from_numpy(np.interp(ratios, self.log_ratios, levels(len(self.log_ratios))))

    def mean_square(self, expected: Tensor) -> Tensor:
        """The expected squared error of pixels, given the expected error, of any shape."""
        squares = torch.zeros_like(expected)
        for ratio in self.log_ratios:
            squares += (expected * math.exp(ratio)).clamp(max=1.0) ** 2
        return squares / len(self.log_ratios)


@dataclass(frozen=True)
class Trust:
    """How far a scene can be trusted, seen from anywhere.

    Attributes:
        gaussians: the scene.
        evidence: what its training views tell of it.
        settings: of the renderer.
        calibration: from values of pixels to errors.
    """

    gaussians: Gaussians
    evidence: Sightings
    settings: Settings
    calibration: Calibration = field(default_factory=Calibration)

    @torch.no_grad()
    def render(self, camera: Camera) -> Tensor:
        """The expected error of a view [h, w]: the median of the absolute error, a mean of three channels."""
        return self.calibration.expected(self.values_of_pixels(camera))

    @torch.no_grad()
    def values_of_pixels(self, camera: Camera) -> Tensor:
        """The values of the Gaussians, blended for each pixel: [h, w]."""
        values = self.values(camera.centre_world)[:, None].expand(-1, 3)
        blended, alpha = painted(self.gaussians, values, camera, self.settings)
        return with_uncovered(blended[..., 0], alpha)

    @torch.no_grad()
    def values(self, centre: Tensor) -> Tensor:
        """The value of each Gaussian seen from a place [3], world frame: [n]."""
        return displacement_term(self.displacements(centre)) * self.residual_term()

    def residual_term(self) -> Tensor:
        """(r + r₀)^a of the formula above, [n]."""
        return (self.evidence.residuals + RESIDUAL_OFFSET) ** RESIDUAL_EXPONENT

    @torch.no_grad()
    def displacements(self, centre: Tensor) -> Tensor:
        """Displacement δ of a place [3] from the nearest that has seen each Gaussian: [n], at most 4."""
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
        """That of the Gaussians at the indices ``rows`` [m] alone."""
        return replace(self, gaussians=self.gaussians.select(rows), evidence=self.evidence.select(rows))


def with_uncovered(values: Tensor, alpha: Tensor) -> Tensor:
    """Blended values of pixels with that of what no Gaussian covers, of any shape."""
    return values + UNCOVERED * (1 - alpha)


def displacement_term(away: Tensor) -> Tensor:
    """(δ + δ₀)^b of the formula above, of any shape."""
    return (away + DISPLACEMENT_OFFSET) ** DISPLACEMENT_EXPONENT


def decibels(mean_square: float) -> float:
    """PSNR of a mean squared error, peak 1."""
    return -10 * math.log10(max(mean_square, 1e-12))
