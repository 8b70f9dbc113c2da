"""Quality of a view of a scene, estimated from its Gaussians without a photograph.

Training makes Gaussians about as large as the footprints of the training pixels. From behind a wall, or from
inside an unobserved region, the image consists of few and large Gaussians and has no detail.
"""

from __future__ import annotations

import math

import torch

from sfumato.envelope.blended_values import painted
from sfumato.envelope.subsampling import sample, thinned
from sfumato.maths.sh import SH_C0
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

# A Gaussian whose standard deviation is this share of the image's shorter side counts as fully blurred.
_SMEAR = 0.05
# Mean difference of neighbouring pixels, both directions together, that counts as full detail.
_DETAIL = 0.1
# Gaussians nearer than this share of the target's distance count as obstructions.
_NEAR = 0.25
_LEAST = 1e-4
_SETTINGS = RasterSettings(depth=False)


class ViewQuality:
    """Estimates the quality of views of a scene.

    Args:
        gaussians: the scene.
    """

    def __init__(self, gaussians: Gaussians) -> None:
        rows, larger = sample(len(gaussians))
        self._gaussians = thinned(gaussians.detach(), rows, larger)
        # The apparent size of a flat Gaussian is that of its two larger axes.
        logs = self._gaussians.log_scales - math.log(larger)
        self._sizes = ((logs.sum(dim=1) - logs.amin(dim=1)) / 2).exp()
        self._light = (0.5 + SH_C0 * self._gaussians.sh[:, 0].mean(dim=1)).clamp(_LEAST, 1.0)

    @torch.no_grad()
    def of(self, camera: Camera, distance: float) -> float:
        """Quality from 0 to 1: large for full coverage by small Gaussians, with detail and no obstructions.

        Args:
            camera: a pinhole of low resolution, such as 96 x 64 pixels.
            distance: of the point it looks at, scene units.
        """
        pose = camera.camera_from_world.to(self._gaussians.means)
        local = self._gaussians.means @ pose[:3, :3].T + pose[:3, 3]
        away = local.norm(dim=1).clamp_min(torch.finfo(local.dtype).tiny)
        smear = self._sizes * (camera.focal_px[1] / (_SMEAR * min(camera.size_px))) / away
        near = (away < _NEAR * distance).to(local).clamp_min(_LEAST)
        values = torch.stack([smear.clamp(_LEAST, 1.0), self._light, near], dim=1)
        image, alpha = painted(self._gaussians, values, camera, _SETTINGS)
        covered = float(alpha.mean())
        if not covered > _LEAST:
            return 0.0
        blurred, _, before = (image.mean(dim=(0, 1)) / covered).clamp(0, 1).tolist()
        steps = image[1:, 1:, 1] - image[:-1, 1:, 1], image[1:, 1:, 1] - image[1:, :-1, 1]
        detail = sum(float(step.abs().mean()) for step in steps)
        # The share of the Gaussians whose centres lie in the picture.
        half = [side / 2 / focal for side, focal in zip(camera.size_px, camera.focal_px, strict=True)]
        x, y, z = local.abs().unbind(1)
        seen = float(((local[:, 2] > 0) & (x <= half[0] * z) & (y <= half[1] * z)).float().mean())
        return (covered * min(1.0, detail / _DETAIL)) ** 0.5 * (1 - blurred) * (1 - before) ** 2 * seen
