"""Quality on held-out cameras, step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from sfumato.capture.multiview import RigCamera
from sfumato.evaluation.held_out import composited, kept_pixels
from sfumato.evaluation.metrics import affine_colour, psnr, ssim
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.foreground import TemporalMedian

# A pixel has changed where a channel differs from the camera's temporal median by this share of white.
_CHANGED = 0.1


@dataclass(frozen=True)
class StepScore:
    """Means over the held-out cameras that have a photograph at a step; NaN if none has.

    Attributes:
        psnr: decibels, of the uncorrected render.
        psnr_affine: after a gain and offset of each channel, fitted for each camera at the first step.
        psnr_changed: the same over pixels that differ from the camera's temporal median by a tenth of white.
        ssim: of the uncorrected render.
    """

    psnr: float
    psnr_affine: float
    psnr_changed: float
    ssim: float


class HeldOutCameras:
    """The held-out cameras of a video.

    Args:
        cameras: the held-out ones.
        first: the Gaussians at the first step, by which the colours of each camera are fitted.
        settings: of the rasterizer.
    """

    def __init__(self, cameras: tuple[RigCamera, ...], first: Gaussians, settings: RasterSettings) -> None:
        self.cameras, self._settings = cameras, settings
        self._medians = [torch.from_numpy(TemporalMedian.of(camera).median) for camera in cameras]
        self._colours = [self._fitted(camera, first) for camera in cameras]

    def pictures(self, gaussians: Gaussians, step: int) -> list[tuple[Tensor, Tensor] | None]:
        """(photograph, render) [h, w, 3] float32 of each camera; None for one without a photograph."""
        return [self._pair(camera, gaussians, step) for camera in self.cameras]

    def score(self, gaussians: Gaussians, step: int) -> StepScore:
        """Compare the scene with the photographs of a step, over the pixels that their masks keep."""
        raw, affine, changed, structure = [], [], [], []
        for camera, (gain, offset), median in zip(self.cameras, self._colours, self._medians, strict=True):
            view, pair = camera.views[step], self._pair(camera, gaussians, step)
            if view is None or pair is None:
                continue
            (truth, image), keep = pair, kept_pixels(view.load())
            fitted = gain * image + offset
            changes = ((truth - median / 255).abs() > _CHANGED).any(dim=2)
            raw.append(psnr(image, truth, keep))
            affine.append(psnr(fitted, truth, keep))
            changed.append(psnr(fitted, truth, changes if keep is None else changes & keep))
            structure.append(ssim(image, truth, keep))
        return StepScore(mean(raw), mean(affine), mean(changed), mean(structure))

    def _pair(self, camera: RigCamera, gaussians: Gaussians, step: int) -> tuple[Tensor, Tensor] | None:
        view = camera.views[step]
        if view is None:
            return None
        return composited(view.load(), self._settings.background), self._render(camera, gaussians)

    @torch.no_grad()
    def _render(self, camera: RigCamera, gaussians: Gaussians) -> Tensor:
        return rasterize(gaussians, camera.camera, self._settings).image.clamp(0, 1)

    def _fitted(self, camera: RigCamera, first: Gaussians) -> tuple[Tensor, Tensor]:
        """Gain and offset [3] at the first step; 1 and 0 without a photograph of it."""
        view = camera.views[0]
        if view is None:
            return torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
        truth = composited(view.load(), self._settings.background)
        return affine_colour(self._render(camera, first), truth, kept_pixels(view.load()))


def mean(values: Sequence[float]) -> float:
    """The mean of the values that are not NaN; NaN if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan
