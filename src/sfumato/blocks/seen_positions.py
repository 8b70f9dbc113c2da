"""The positions in the scene that the pixels of a view show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.dataset import View
from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.changes import in_colours
from sfumato.scene.gaussians import Gaussians

# Long side of the images that are rendered for this.
SIDE_PX = 96
# Pixels with at least this alpha count.
_LEAST_ALPHA = 0.5


class PositionImages:
    """Renders the position of the scene in each pixel, for any lens.

    Positions are blended as colours are: at edges they lie between the surfaces.

    Args:
        gaussians: one or more.
        settings: of the renderer.
    """

    def __init__(self, gaussians: Gaussians, settings: Settings) -> None:
        means = gaussians.means.detach()
        self._low = means.amin(dim=0)
        self._span = (means - self._low).amax().clamp_min(torch.finfo(means.dtype).tiny)
        colours = (means - self._low) / self._span
        self._scene = in_colours(Gaussians(**gaussians.tensors()).detach(), colours)
        self._settings = replace(settings, background=(0.0, 0.0, 0.0), depth=False, sh_degree=0)

    @torch.no_grad()
    def __call__(self, camera: Camera) -> tuple[Tensor, Tensor]:
        """[h, w, 3] positions in the world frame, and [h, w] bool where there is one."""
        render = draw(self._scene, camera, self._settings)
        alpha = render.alpha.detach()
        share = render.image.detach() / alpha.clamp_min(_LEAST_ALPHA)[..., None]
        return self._low + self._span * share, alpha > _LEAST_ALPHA


def seen_by(
    views: Sequence[View],
    gaussians: Gaussians,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> list[np.ndarray]:
    """Positions that reduced pictures of the views show.

    Args:
        views: any number.
        gaussians: of the scene.
        settings: of the renderer.
        progress: called with the numbers of views done and of all.

    Returns:
        For each view [k, 3] float64 positions, world frame, one for each pixel that is covered.
    """
    images = PositionImages(gaussians, settings)
    found = []
    for done, view in enumerate(views, 1):
        positions, covered = images(_reduced(view.camera))
        found.append(positions[covered].double().cpu().numpy())
        if progress:
            progress(done, len(views))
    return found


@torch.no_grad()
def touched_by(views: Sequence[View], gaussians: Gaussians, settings: Settings) -> Tensor:
    """[n] bool: the Gaussians that touch reduced pictures of any of the views.

    Args:
        views: any number.
        gaussians: n of them.
        settings: of the renderer.
    """
    touched = torch.zeros(len(gaussians), dtype=torch.bool, device=gaussians.means.device)
    for view in views:
        touched |= draw(gaussians, _reduced(view.camera), replace(settings, depth=False)).seen.visible
    return touched


def _reduced(camera: Camera) -> Camera:
    scale = min(1.0, SIDE_PX / max(camera.size_px))
    width, height = (max(1, round(side * scale)) for side in camera.size_px)
    return camera.resized(width, height)
