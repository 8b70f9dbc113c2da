"""Quality along the seams of joined blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sfumato.blocks.block_plan import BlockPlan
from sfumato.blocks.seen_positions import PositionImages
from sfumato.capture.dataset import Capture, reduction_of
from sfumato.evaluation.held_out import composited, kept_pixels
from sfumato.evaluation.scenes import drawn
from sfumato.scene.gaussians import Gaussians
from sfumato.training.config import TrainConfig
from sfumato.training.render_settings import settings_of


@dataclass
class PixelErrors:
    """Errors of some of the pixels of all held-out views.

    Attributes:
        squares: sum of the squared errors of all channels.
        pixels: their number.
    """

    squares: float = 0.0
    pixels: int = 0

    def add(self, squares: torch.Tensor) -> None:
        """Add pixels [n], each with the mean over its channels of the squared error."""
        self.squares += float(squares.double().sum())
        self.pixels += len(squares)

    @property
    def psnr(self) -> float | None:
        """Decibels, of the mean over all these pixels; None without any, or without an error."""
        return -10 * math.log10(self.squares / self.pixels) if self.pixels and self.squares else None


@dataclass(frozen=True)
class SeamQuality:
    """Errors along the seams and elsewhere.

    Attributes:
        seams: of pixels that show the overlap of two blocks or more.
        elsewhere: of all others that show the scene.
    """

    seams: PixelErrors
    elsewhere: PixelErrors

    def to_plain(self) -> dict[str, float | None]:
        """For ``metrics.json``."""
        return {
            "psnr_seams": self.seams.psnr,
            "psnr_elsewhere": self.elsewhere.psnr,
            "share_of_pixels": self.seams.pixels / max(self.seams.pixels + self.elsewhere.pixels, 1),
        }

    def describe(self) -> str:
        """The comparison in one line."""
        along, other = self.seams.psnr, self.elsewhere.psnr
        if along is None or other is None:
            return "no held-out view shows a seam between blocks and another place as well"
        share = self.seams.pixels / (self.seams.pixels + self.elsewhere.pixels)
        return (
            f"along the seams of blocks ({share:.0%} of the pixels) {along:.2f} dB, elsewhere {other:.2f} dB"
        )


def seam_quality(
    gaussians: Gaussians,
    capture: Capture,
    config: TrainConfig,
    plan: BlockPlan,
    progress: Callable[[int, int], None] | None = None,
    *,
    shape: Gaussians | None = None,
) -> SeamQuality:
    """Compare pixels of held-out views along the seams with all others.

    Args:
        gaussians: the joined scene.
        capture: the whole dataset.
        config: of training.
        plan: of the blocks.
        progress: called with the numbers of views done and of all.
        shape: a scene that says where pixels lie; None: the joined one.
    """
    views, found = capture.test_views, SeamQuality(PixelErrors(), PixelErrors())
    if not views or not len(gaussians):
        return found
    settings = settings_of(config, capture.render_background, reduction=reduction_of(views))
    render, positions_of = drawn(gaussians, settings), PositionImages(shape or gaussians, settings)
    for done, view in enumerate(views, 1):
        pixels = view.load()
        truth, keep = composited(pixels, capture.render_background), kept_pixels(pixels)
        with torch.no_grad():
            image = render(view.camera).clamp(0, 1).cpu()
        positions, covered = positions_of(view.camera)
        counted = covered.cpu() if keep is None else covered.cpu() & keep
        squares = (image - truth).square().mean(dim=2)[counted]
        in_seam = torch.from_numpy(plan.in_seams(positions.cpu()[counted].double().numpy()))
        found.seams.add(squares[in_seam])
        found.elsewhere.add(squares[~in_seam])
        if progress:
            progress(done, len(views))
    return found
