"""What the training views tell of each Gaussian: who saw it, how wrong it was, and what stood behind it."""

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

# One bit of a 64-bit word for each place that a Gaussian was seen from.
MOST_PLACES = 64
# A view has seen a Gaussian that contributes at least so much to its image, in pixels.
_LEAST_CONTRIBUTION_PX = 0.1
# A Gaussian stands in front of a surface at this share of the distance of what is seen there.
_IN_FRONT = 0.85
# Pixels of the mean error that each Gaussian's own error starts from.
_PRIOR_PX = 1.0


@dataclass(frozen=True)
class Sightings:
    """What the training views tell of n Gaussians.

    Attributes:
        places: [k, 3] centres of training cameras, world frame, at most 64; of more, each stands for those
            nearest to it.
        seen: [n, k] bool, whether a camera of the place has seen the Gaussian.
        residuals: [n] mean absolute colour error of the training pixels that it contributes to, weighted
            by its contribution.
        views: [n] training views that have seen it.
        in_front: [n] share of its contribution in views in which it stands well in front of what is seen.
    """

    places: Tensor
    seen: Tensor
    residuals: Tensor
    views: Tensor
    in_front: Tensor

    def select(self, rows: Tensor) -> Sightings:
        """Those of the Gaussians at the indices ``rows`` [m] alone."""
        of_gaussians = ("seen", "residuals", "views", "in_front")
        return replace(self, **{name: getattr(self, name)[rows] for name in of_gaussians})


def gather(
    gaussians: Gaussians,
    views: Sequence[HeldOutView],
    settings: Settings,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> Sightings:
    """Render every training view, and sum up what it shows of each Gaussian.

    Args:
        gaussians: the scene.
        views: photographs that it was trained on, with their cameras; at least one.
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
    for number, view in enumerate(views):
        weight, wrong, is_front = _of_view(gaussians, view, settings)
        sees = weight >= _LEAST_CONTRIBUTION_PX
        seen[:, owner[number]] |= sees
        count += sees
        contribution += weight
        error += wrong
        front += weight * is_front
        if progress:
            progress(number + 1, len(views))
    mean = error.sum() / contribution.sum().clamp_min(_PRIOR_PX)
    return Sightings(
        places=places,
        seen=seen,
        residuals=((error + _PRIOR_PX * mean) / (contribution + _PRIOR_PX)).float(),
        views=count,
        in_front=(front / contribution.clamp_min(_PRIOR_PX)).float(),
    )


def representatives(centres: Tensor, most: int = MOST_PLACES) -> tuple[Tensor, Tensor]:
    """Places that stand for all: the farthest from those chosen is chosen next.

    Args:
        centres: [m, 3].
        most: how many there may be.

    Returns:
        For each centre the row of the chosen one nearest to it, [m]; the chosen ones [k, 3].
    """
    chosen = [0]
    nearest = (centres - centres[0]).norm(dim=1)
    while len(chosen) < min(most, len(centres)) and float(nearest.max()) > 0:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (centres - centres[chosen[-1]]).norm(dim=1))
    places = centres[chosen]
    apart = (centres[:, None] - places).norm(dim=2)
    return apart.argmin(1), places


def _of_view(gaussians: Gaussians, view: HeldOutView, settings: Settings) -> tuple[Tensor, Tensor, Tensor]:
    """Each Gaussian's contribution in px, its error weighted by that, and whether it stands in front, [n]."""
    keep, wrong = errors_of(gaussians, view, settings)
    seen = blend(gaussians, view.camera, settings, torch.stack([keep.to(wrong), wrong * keep], dim=2))
    contribution, error = seen.sums.unbind(1)
    return contribution, error, _stands_in_front(gaussians, view.camera, seen)


def _stands_in_front(gaussians: Gaussians, camera: Camera, seen: Blended) -> Tensor:
    """Whether a Gaussian is nearer than what is seen at the pixel of its centre, [n] bool."""
    pixels, z = image_points(camera, gaussians.means)
    column, row = pixels.nan_to_num(-1.0, posinf=-1.0, neginf=-1.0).clamp(-1, 1 << 20).long().unbind(1)
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
    at = seen.surface[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
    return inside & (seen.distances < _IN_FRONT * at)
