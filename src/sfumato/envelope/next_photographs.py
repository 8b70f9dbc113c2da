"""Where to photograph next: the views that would lower the expected error most.

A photograph taken at a place sets the displacement of what it sees to zero there, and lowers it nearby. Its
gain is the drop of the expected error, summed over all candidates' pictures, if it were taken: of sets of
photographs this is a monotone submodular function, so the best one at a time is a good choice (Nemhauser et
al. 1978).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.envelope.sightings import painted
from sfumato.envelope.trust import FARTHEST, Trust, displacement_term
from sfumato.scene.cameras import Camera

# What is seen in the middle stands at the point looked at, up to this share of its distance.
_SAME_PLACE = 0.25
_LEAST_CONTRIBUTION_PX = 0.05


@dataclass(frozen=True)
class Suggestion:
    """A view to photograph.

    Attributes:
        row: of the candidate.
        gain: by how much the mean value of the pixels of all candidates' pictures falls, times the scale.
    """

    row: int
    gain: float


@torch.no_grad()
def best_views(
    trust: Trust,
    candidates: Sequence[Camera],
    count: int,
    *,
    distances: Sequence[float] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Suggestion]:
    """Choose the candidates that would add most, the best first.

    Args:
        trust: of the scene.
        candidates: cameras of small pictures.
        count: how many to choose; fewer where no other adds anything.
        distances: of the point that each looks at, scene units; one is left out where something else stands
            before or behind its place. None: all are taken as they are.
        progress: called with (candidates rendered, candidates in all).
    """
    means = trust.gaussians.means
    weights, is_sensible = [], []
    for number, camera in enumerate(candidates):
        weight, distance = _contributions(trust, camera)
        weights.append(weight)
        is_sensible.append(distances is None or _is_near(distance, distances[number]))
        if progress:
            progress(number + 1, len(candidates))
    if not weights:
        return []
    # [n, c]: contributions in px, displacements as seen from each candidate now, distances from each.
    weight = torch.stack(weights, 1)
    error = (trust.calibration.scale * trust.residual_term())[:, None] * weight
    centres = torch.stack([camera.centre_world for camera in candidates]).to(means)
    away = torch.stack([trust.displacements(centre) for centre in centres], 1)
    apart = torch.cdist(means, centres).clamp_min(1e-30)
    pixels = sum(camera.width * camera.height for camera in candidates)
    worth = displacement_term(away)
    chosen: list[Suggestion] = []
    for _ in range(count):
        gains = torch.zeros(len(candidates), dtype=torch.float64)
        for row in range(len(candidates)):
            if is_sensible[row] and all(row != other.row for other in chosen):
                sees = (weight[:, row] >= _LEAST_CONTRIBUTION_PX).nonzero()[:, 0]
                after = displacement_term(torch.minimum(away[sees], _from_there(centres, apart[sees], row)))
                gains[row] = (error[sees] * (worth[sees] - after)).sum() / pixels
        best = int(gains.argmax())
        if not float(gains[best]) > 0:
            break
        chosen.append(Suggestion(best, float(gains[best])))
        sees = (weight[:, best] >= _LEAST_CONTRIBUTION_PX).nonzero()[:, 0]
        away[sees] = torch.minimum(away[sees], _from_there(centres, apart[sees], best))
        worth[sees] = displacement_term(away[sees])
    return chosen


def _contributions(trust: Trust, camera: Camera) -> tuple[Tensor, float]:
    """Each Gaussian's contribution to a picture in px, and how far what is seen in its middle is."""
    gaussians = trust.gaussians
    distances = (gaussians.means - camera.centre_world.to(gaussians.means)).norm(dim=1)
    unit = distances.median().clamp_min(1e-30)
    values = torch.full((len(gaussians), 3), 0.5)
    values[:, 1] = distances / unit
    values.requires_grad_()
    with torch.enable_grad():
        blended, alpha = painted(gaussians, values, camera, trust.settings)
        (gradient,) = torch.autograd.grad(blended[..., 0].sum(), values)
    middle = tuple(slice(side * 2 // 5, side * 3 // 5 + 1) for side in (camera.height, camera.width))
    seen = blended[..., 1][middle].sum() / alpha[middle].sum().clamp_min(1e-6)
    return gradient[:, 0], float(seen * unit)


def _is_near(distance: float, wanted: float) -> bool:
    return abs(distance - wanted) <= _SAME_PLACE * wanted


def _from_there(centres: Tensor, distances: Tensor, row: int) -> Tensor:
    """Displacements [m, c] of all candidates from one that sees m Gaussians at ``distances`` [m, c]."""
    shift = (centres - centres[row]).norm(dim=1)
    return (shift / torch.minimum(distances, distances[:, row : row + 1])).clamp(max=FARTHEST)
