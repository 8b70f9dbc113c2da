"""Where to photograph next: the views that would lower the expected error most.

A photograph sets the displacement of the Gaussians it sees to zero at its position, and lowers it nearby. Its
gain is the decrease of the expected error, summed over the images of all candidates. As a function of sets of
photographs the gain is monotone and submodular, so greedy selection is near-optimal (Nemhauser et al. 1978).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.envelope.blended_values import blend
from sfumato.envelope.trust import EXACT, Trust, displacement_term
from sfumato.maths.spread import evenly
from sfumato.scene.cameras import Camera

# The middle of an image: this share of its sides, around the centre.
_MIDDLE = 0.2
_LEAST_CONTRIBUTION_PX = 0.05
# Larger scenes are subsampled evenly to this many Gaussians.
_MOST_GAUSSIANS = 50_000


@dataclass(frozen=True)
class CandidateRender:
    """A rendered candidate view.

    Attributes:
        camera: of low resolution.
        contributions: [m] of the sampled Gaussians to the image, pixels.
        values: [h, w] of its pixels, as of ``Trust.values_of_pixels``.
        distance: of the surface in the middle of the image, scene units.
    """

    camera: Camera
    contributions: Tensor
    values: Tensor
    distance: float


@dataclass(frozen=True)
class Suggestion:
    """A view to photograph.

    Attributes:
        row: of the candidate.
        gain: decrease of the mean pixel value over the images of all candidates.
    """

    row: int
    gain: float


def render_candidate(trust: Trust, camera: Camera) -> CandidateRender:
    """Render a candidate.

    Args:
        trust: of the scene.
        camera: of low resolution.
    """
    weights = torch.ones(camera.height, camera.width, 2)
    seen = blend(trust.gaussians, camera, trust.settings, weights, trust.values(camera.centre_world))
    middle = tuple(_middle(side) for side in (camera.height, camera.width))
    return CandidateRender(
        camera,
        seen.sums[_sample(trust), 0],
        trust.of_pixels(seen.values, seen.alpha, camera),
        float((seen.surface * seen.alpha)[middle].sum() / seen.alpha[middle].sum().clamp_min(1e-6)),
    )


def best_views(
    trust: Trust, renders: Sequence[CandidateRender], count: int, is_allowed: Sequence[bool] | None = None
) -> list[Suggestion]:
    """Choose the candidates with the largest gains, greedily, the best first.

    Args:
        trust: of the scene.
        renders: all candidates.
        count: how many to choose; fewer if no other has a positive gain.
        is_allowed: which may be chosen; None: all.
    """
    if not renders:
        return []
    sample = _sample(trust)
    some = trust.select(sample)
    # [m, c]: contributions in px, distances and displacements as seen from each candidate.
    contributions = torch.stack([view.contributions for view in renders], 1)
    centres = torch.stack([view.camera.centre_world for view in renders]).to(some.gaussians.means)
    distances = torch.cdist(some.gaussians.means, centres, compute_mode=EXACT)
    away = torch.stack([some.displacements(centre) for centre in centres], 1)
    pixels = sum(view.values.numel() for view in renders) * len(sample) / len(trust.gaussians)
    share = some.residual_term()[:, None] * contributions / pixels
    sees = contributions >= _LEAST_CONTRIBUTION_PX
    left = [row for row in range(len(renders)) if is_allowed is None or is_allowed[row]]
    chosen: list[Suggestion] = []
    while left and len(chosen) < count:
        gains = []
        for row in left:
            rows, after = _with(row, sees, away, distances, centres)
            fall = displacement_term(away[rows]) - displacement_term(after)
            gains.append(float((share[rows] * fall).double().sum()))
        best = max(range(len(left)), key=gains.__getitem__)
        if not gains[best] > 0:
            break
        row = left.pop(best)
        chosen.append(Suggestion(row, gains[best]))
        rows, after = _with(row, sees, away, distances, centres)
        away[rows] = after
    return chosen


def _with(row: int, sees: Tensor, away: Tensor, distances: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [s] of Gaussians that a candidate sees, and their displacements [s, c] with its photograph."""
    rows = sees[:, row].nonzero()[:, 0]
    shift = (centres - centres[row]).norm(dim=1)
    nearer = torch.minimum(distances[rows], distances[rows, row, None]).clamp_min(1e-30)
    return rows, torch.minimum(away[rows], shift / nearer)


def _sample(trust: Trust) -> Tensor:
    """[m] rows of Gaussians, evenly spaced."""
    return torch.tensor(evenly(len(trust.gaussians), _MOST_GAUSSIANS), dtype=torch.int64)


def _middle(side: int) -> slice:
    half = max(1, round(_MIDDLE * side / 2))
    return slice(side // 2 - half, side // 2 + half)
