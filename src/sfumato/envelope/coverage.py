"""Trust by coverage alone: from where each Gaussian was seen, without reading any photograph.

It takes seconds, where evidence from photographs takes minutes, and is used to compare camera positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sfumato.envelope.blended_values import painted
from sfumato.envelope.candidates import low_resolution
from sfumato.envelope.sightings import Sightings
from sfumato.envelope.subsampling import sample, thinned
from sfumato.envelope.trust import Trust
from sfumato.maths.spread import evenly
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.image_points import image_points

_SETTINGS = RasterSettings(depth=False)
# Residual that is assumed for every Gaussian.
_RESIDUAL = 0.02
# A Gaussian counts as seen up to this multiple of the rendered distance.
_BEHIND = 1.15
_LEAST = 1e-3
_MOST_CAMERAS = 40


@torch.no_grad()
def trust_by_coverage(gaussians: Gaussians, cameras: Sequence[Camera]) -> Trust:
    """The trust of a scene by its training cameras alone.

    Args:
        gaussians: the scene; a large one is subsampled.
        cameras: of the training views, at least one; at most 40 of them are used, evenly spaced.
    """
    gaussians = thinned(gaussians.detach(), *sample(len(gaussians)))
    some = [low_resolution(cameras[i]) for i in evenly(len(cameras), _MOST_CAMERAS)]
    seen = torch.stack([_seen_by(gaussians, camera) for camera in some], dim=1)
    n = len(gaussians)
    evidence = Sightings(
        places=torch.stack([camera.centre_world for camera in some]).to(gaussians.means),
        seen=seen,
        residuals=torch.full((n,), _RESIDUAL),
        views=seen.sum(dim=1),
        in_front=torch.zeros(n),
    )
    return Trust(gaussians, evidence, _SETTINGS)


def _seen_by(gaussians: Gaussians, camera: Camera) -> torch.Tensor:
    """[n] bool, the Gaussians inside the image and not hidden behind the rendered surface."""
    away = (gaussians.means - camera.centre_world.to(gaussians.means)).norm(dim=1)
    unit = away.median().clamp_min(torch.finfo(away.dtype).tiny)
    image, alpha = painted(gaussians, (away / unit)[:, None].expand(-1, 3), camera, _SETTINGS)
    surface = unit * image[..., 0] / alpha.clamp_min(_LEAST)
    pixels, z = image_points(camera, gaussians.means)
    column, row = (
        pixels.nan_to_num(-1.0, posinf=-1.0, neginf=-1.0).clamp(-1, 1 << 20).floor().long().unbind(1)
    )
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
    at = surface[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
    return inside & (away <= _BEHIND * at)
