"""Quality of a scene of Gaussians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from sfumato.evaluation.held_out import HeldOutView, Report, score_views
from sfumato.evaluation.lpips import find_lpips
from sfumato.render.draw import draw
from sfumato.render.settings import settings_for
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


def evaluate(
    gaussians: Gaussians,
    views: Sequence[HeldOutView],
    *,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    renderer: str = "raster",
    antialiased: bool | None = None,
    lpips: bool = True,
    folder: Path | None = None,
    progress: Callable[[int, int], bool | None] | None = None,
) -> Report:
    """Compare renders of a scene with photographs.

    Args:
        gaussians: the scene.
        views: photographs with their cameras.
        background: RGB in [0, 1] behind renders and transparent photographs.
        renderer: as the scene was trained.
        antialiased: likewise; None: as the scene says.
        lpips: measure LPIPS too, where its weights are on this machine.
        folder: where to write the pictures.
        progress: called with (views done, views in all) after each view; False leaves out the others.

    Returns:
        Scores of every view and their means.
    """
    metric, note = find_lpips() if lpips and views else (None, "not requested")
    return score_views(
        drawn(gaussians, background=background, renderer=renderer, antialiased=antialiased),
        views,
        background=background,
        lpips=metric,
        lpips_note=None if metric else note,
        folder=folder,
        progress=progress,
    )


def drawn(
    gaussians: Gaussians, *, background: tuple[float, float, float], renderer: str, antialiased: bool | None
) -> Callable[[Camera], Tensor]:
    """A function from a camera to the image [h, w, 3] of the scene."""
    settings = settings_for(renderer, antialiased=antialiased, background=background, depth=False)
    scene = gaussians.detach()
    return lambda camera: draw(scene, camera, settings).image
