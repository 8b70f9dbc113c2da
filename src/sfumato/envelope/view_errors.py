"""The error of a scene at each pixel of a photograph."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.evaluation.held_out import HeldOutView, composited, kept_pixels
from sfumato.evaluation.metrics import with_affine_colour
from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.gaussians import Gaussians


@torch.no_grad()
def errors_of(gaussians: Gaussians, view: HeldOutView, settings: Settings) -> tuple[Tensor, Tensor]:
    """Compare a photograph with the scene, after an affine colour correction of the view.

    Differences of exposure between photographs are not errors of the scene.

    Args:
        gaussians: the scene.
        view: the photograph and its camera.
        settings: of the renderer that the scene was trained with.

    Returns:
        [h, w] bool, the pixels that the photograph's mask keeps, and [h, w] the absolute error, averaged over
        channels; undefined at other pixels.
    """
    pixels = view.load()
    keep = kept_pixels(pixels)
    keep = torch.ones(view.camera.height, view.camera.width, dtype=torch.bool) if keep is None else keep
    image = draw(gaussians, view.camera, replace(settings, depth=False)).image
    truth = composited(pixels, settings.background)
    if bool(keep.any()):
        image = with_affine_colour(image, truth, keep)
    return keep, (image - truth).abs().mean(2)
