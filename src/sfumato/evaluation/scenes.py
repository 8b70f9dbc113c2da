"""Evaluation of a scene of Gaussians on held-out views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from sfumato.evaluation.held_out import HeldOutView, Report, score_views
from sfumato.evaluation.lpips import find_lpips
from sfumato.render.draw import draw
from sfumato.render.settings import RasterSettings, Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


def evaluate(
    gaussians: Gaussians,
    views: Sequence[HeldOutView],
    settings: Settings | None = None,
    *,
    background: tuple[float, float, float] | None = None,
    lpips: bool = True,
    folder: Path | None = None,
    progress: Callable[[int, int], bool | None] | None = None,
) -> Report:
    """Compare renders of a scene with photographs.

    Args:
        gaussians: the scene.
        views: photographs with their cameras.
        settings: of the renderer with which the scene was trained; None: default settings of the rasterizer.
        background: RGB in [0, 1] behind renders and transparent photographs; None: that of ``settings``.
        lpips: measure LPIPS too, if its weights are on this machine.
        folder: for the pictures, or None.
        progress: called with (views done, all views) after each view; returning False skips the others.

    Returns:
        Scores of every view and their means.
    """
    settings = settings or RasterSettings()
    if background is not None:
        settings = replace(settings, background=background)
    metric, note = find_lpips() if lpips and views else (None, "not requested")
    return score_views(
        drawn(gaussians, settings),
        views,
        background=settings.background,
        lpips=metric,
        lpips_note=None if metric else note,
        folder=folder,
        progress=progress,
    )


def drawn(gaussians: Gaussians, settings: Settings) -> Callable[[Camera], Tensor]:
    """A function from a camera to the image [h, w, 3] of the scene."""
    settings, scene = replace(settings, depth=False), gaussians.detach()
    return lambda camera: draw(scene, camera, settings).image
