"""Evidence on each Gaussian from the training views: which have seen it, its error, its relative depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.envelope.blended_values import Blended, blend
from sfumato.envelope.view_errors import errors_of
from sfumato.evaluation.held_out import HeldOutView
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.image_points import image_points

# Places from which a Gaussian was seen are stored as bits of one 64-bit word.
MOST_PLACES = 64
# A view has seen a Gaussian if its contribution to the image is at least this, in pixels.
_LEAST_CONTRIBUTION_PX = 0.1
# A Gaussian lies in front of the surface if its distance is below this share of the rendered distance.
_IN_FRONT = 0.85
# Expected difference of two random colours, and its weight as a share of the pixels of all training views.
UNKNOWN = 1 / 3
_UNKNOWN_SHARE = 0.01
# Weight of the prior, in pixels: residuals are shrunk towards the mean error.
_PRIOR_PX = 1.0


@dataclass(frozen=True)
class Sightings:
    """Evidence on n Gaussians from the training views.

    Attributes:
        places: [k, 3] centres of at most 64 representative training cameras, world frame. Every camera is
            assigned to the nearest one.
        seen: [n, k] bool, whether a camera assigned to the place has seen the Gaussian.
        residuals: [n] mean absolute colour error of the training pixels that it contributes to, weighted
            by its contribution.
        views: [n] number of training views that have seen it.
        in_front: [n] share of its contribution in views in which it lies well in front of the surface.
        uncovered: mean colour error of background that no Gaussian covers; small where photographs have been
            cut out, 1/3 where the training views show no such background.
    """

    places: Tensor
    seen: Tensor
    residuals: Tensor
    views: Tensor
    in_front: Tensor
    uncovered: float = UNKNOWN

    def select(self, rows: Tensor) -> Sightings:
        """The evidence on the Gaussians at the indices ``rows`` [m]."""
        of_gaussians = ("seen", "residuals", "views", "in_front")
        return replace(self, **{name: getattr(self, name)[rows] for name in of_gaussians})


def gather(
    gaussians: Gaussians,
    views: Sequence[HeldOutView],
    settings: Settings,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Sightings:
    """Render every training view and accumulate the evidence on each Gaussian.

    Args:
        gaussians: the scene.
        views: training views; at least one.
        settings: of the renderer that it was trained with.
        progress: called with (views done, views in all).
    """
    gaussians = gaussians.detach()
    centres = torch.stack([view.camera.centre_world for view in views]).to(gaussians.means)
    owner, places = representatives(centres)
    n = len(gaussians)
    contribution, error, front = (torch.zeros(n, dtype=torch.float64) for _ in range(3))
    seen = torch.zeros(n, len(places), dtype=torch.bool)
    count = torch.zeros(n, dtype=torch.int64)
    background = torch.zeros(2, dtype=torch.float64)
    for number, view in enumerate(views):
        weight, wrong, is_front, uncovered = _of_view(gaussians, view, settings)
        sees = weight >= _LEAST_CONTRIBUTION_PX
        seen[:, owner[number]] |= sees
        count += sees
        contribution += weight
        error += wrong
        front += weight * is_front
        background += uncovered
        if progress:
            progress(number + 1, len(views))
    pixels = _UNKNOWN_SHARE * sum(view.camera.width * view.camera.height for view in views)
    mean = error.sum() / contribution.sum().clamp_min(_PRIOR_PX)
    return Sightings(
        places=places,
        seen=seen,
        residuals=((error + _PRIOR_PX * mean) / (contribution + _PRIOR_PX)).float(),
        views=count,
        in_front=(front / contribution.clamp_min(_PRIOR_PX)).float(),
        uncovered=float((background[1] + pixels * UNKNOWN) / (background[0] + pixels)),
    )


def representatives(centres: Tensor, most: int = MOST_PLACES) -> tuple[Tensor, Tensor]:
    """Representative places by farthest-point sampling.

    Args:
        centres: [m, 3].
        most: the largest number of places.

    Returns:
        [m] the row of the nearest place for each centre; [k, 3] the places.
    """
    chosen = [0]
    nearest = (centres - centres[0]).norm(dim=1)
    while len(chosen) < min(most, len(centres)) and float(nearest.max()) > 0:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (centres - centres[chosen[-1]]).norm(dim=1))
    places = centres[chosen]
    apart = (centres[:, None] - places).norm(dim=2)
    return apart.argmin(1), places


def _of_view(
    gaussians: Gaussians, view: HeldOutView, settings: Settings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[n] contributions in px, errors weighted by them, and whether each lies in front of the surface.

    Also [2] the uncovered area of the view in px, and the errors weighted by it.
    """
    keep, wrong = errors_of(gaussians, view, settings)
    weights = torch.stack([keep.to(wrong), wrong.where(keep, 0)], dim=2)
    seen = blend(gaussians, view.camera, settings, weights)
    contribution, error = seen.sums.unbind(1)
    uncovered = ((1 - seen.alpha)[..., None] * weights).sum(dim=(0, 1))
    return contribution, error, _stands_in_front(gaussians, view.camera, seen), uncovered


def _stands_in_front(gaussians: Gaussians, camera: Camera, seen: Blended) -> Tensor:
    """[n] bool, whether a Gaussian is nearer than the rendered surface at the pixel of its centre."""
    pixels, z = image_points(camera, gaussians.means)
    column, row = pixels.nan_to_num(-1.0, posinf=-1.0, neginf=-1.0).clamp(-1, 1 << 20).long().unbind(1)
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
    at = seen.surface[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
    return inside & (seen.distances < _IN_FRONT * at)
