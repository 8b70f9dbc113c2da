"""Quality on held-out cameras, step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from sfumato.capture.multiview import MultiViewVideo, RigCamera
from sfumato.evaluation.metrics import psnr, ssim
from sfumato.render.rasterize import rasterize
from sfumato.render.settings import RasterSettings
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.foreground import TemporalMedian

# A pixel has changed where a channel differs from the camera's temporal median by this share of white.
_CHANGED = 0.1


@dataclass(frozen=True)
class StepScore:
    """Means over the held-out cameras that have a photograph at a step; NaN where none has.

    Attributes:
        psnr: decibels, of the render as it is.
        psnr_affine: after the gain and offset of each channel that fit the camera best at the first step.
        psnr_changed: the same over pixels that differ from the camera's temporal median by a tenth of white.
        ssim: of the render as it is.
    """

    psnr: float
    psnr_affine: float
    psnr_changed: float
    ssim: float


class HeldOut:
    """The held-out cameras of a video.

    Args:
        video: the video.
        first: the Gaussians at the first step, to which the colours of each camera are fitted.
        settings: of the rasterizer.
    """

    def __init__(self, video: MultiViewVideo, first: Gaussians, settings: RasterSettings) -> None:
        self._cameras, self._settings = video.test_cameras, settings
        index = {camera.name: number for number, camera in enumerate(video.cameras)}
        self._medians = [TemporalMedian.of(video, index[camera.name]).median for camera in self._cameras]
        self._colours = [self._fitted(camera, first) for camera in self._cameras]

    @property
    def names(self) -> list[str]:
        """Of the cameras."""
        return [camera.name for camera in self._cameras]

    def pictures(self, gaussians: Gaussians, step: int) -> list[tuple[Tensor, Tensor]]:
        """(photograph, render) [h, w, 3] float32 of each camera that has a photograph."""
        found = []
        for camera in self._cameras:
            truth = photograph(camera, step)
            if truth is not None:
                found.append((truth, self._render(camera, gaussians)))
        return found

    def score(self, gaussians: Gaussians, step: int) -> StepScore:
        """Compare the scene with the photographs of a step."""
        raw, affine, changed, structure = [], [], [], []
        for camera, (gain, offset), median in zip(self._cameras, self._colours, self._medians, strict=True):
            truth = photograph(camera, step)
            if truth is None:
                continue
            image = self._render(camera, gaussians)
            fitted = image * gain + offset
            keep = ((truth - torch.from_numpy(median)).abs() > _CHANGED).any(dim=2)
            raw.append(psnr(image, truth))
            affine.append(psnr(fitted, truth))
            changed.append(psnr(fitted, truth, keep))
            structure.append(ssim(image, truth))
        return StepScore(mean(raw), mean(affine), mean(changed), mean(structure))

    @torch.no_grad()
    def _render(self, camera: RigCamera, gaussians: Gaussians) -> Tensor:
        return rasterize(gaussians, camera.camera, self._settings).image.clamp(0, 1)

    def _fitted(self, camera: RigCamera, first: Gaussians) -> tuple[Tensor, Tensor]:
        """Gain and offset [3] by least squares; 1 and 0 without a photograph or contrast then."""
        truth = photograph(camera, 0)
        if truth is None:
            return torch.ones(3), torch.zeros(3)
        x, y = (image.double().reshape(-1, 3) for image in (self._render(camera, first), truth))
        centred = x - x.mean(0)
        variance = centred.square().mean(0)
        gain = torch.where(
            variance > 1e-9, (centred * (y - y.mean(0))).mean(0) / variance.clamp_min(1e-9), 1.0
        )
        return gain.float(), (y.mean(0) - gain * x.mean(0)).float()


def photograph(camera: RigCamera, step: int) -> Tensor | None:
    """[h, w, 3] float32 in [0, 1] of a camera at a step, or None."""
    view = camera.views[step]
    return None if view is None else torch.from_numpy(view.load().rgb.astype(np.float32) / 255)


def mean(values: Sequence[float]) -> float:
    """Of the numbers among them; NaN where there are none."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan
