"""What a scene owes to single photographs: its colours and opacities, trained again on half of the views.

Where both halves render what the scene renders, other photographs would have given the same scene; where
they render something else, the scene rests on a few photographs. This is the half-sample method of survey
statistics (McCarthy 1969), with the scene as the estimate. The geometry stays: training it as well hardly
improved the rank correlation with true errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sfumato.evaluation.held_out import HeldOutView, composited, kept_pixels
from sfumato.evaluation.metrics import affine_colour
from sfumato.maths.spread import evenly
from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians

# The training views are dealt to this many parts in turn; each part is left out once.
PARTS = 2
STEPS = 300
_OPACITY_RATE, _SH_RATE = 0.05, 0.005
_COOL_FROM, _END_FACTOR = 0.6, 0.05
# Weight of the mean opacity in the loss: what no photograph of a half needs fades.
_OPACITY_WEIGHT = 0.02
# Each step renders a box of at most this side, so that its time does not depend on the size of photographs.
_MOST_PX = 480
# Half width of the box over which deviations are averaged, as a share of the image's longer side.
_NEAR = 0.01
_MOST_VIEWS = 8


@dataclass(frozen=True)
class Refits:
    """Fields of the n Gaussians of a scene that were trained again, each time without a part of the views.

    Attributes:
        logit_opacities: [2, n] float32.
        sh: [2, n, k, 3] float16, SH coefficients.
        usual_deviation: the median of ``deviation_of`` over pixels of training views.
    """

    logit_opacities: Tensor
    sh: Tensor
    usual_deviation: float

    def select(self, rows: Tensor) -> Refits:
        """Those of the Gaussians at the indices ``rows`` [m]."""
        return replace(self, logit_opacities=self.logit_opacities[:, rows], sh=self.sh[:, rows])

    @torch.no_grad()
    def deviation_of(self, gaussians: Gaussians, camera: Camera, settings: Settings) -> Tensor:
        """[h, w] mean absolute difference of the renders from that of the scene, averaged over neighbours.

        Args:
            gaussians: the scene.
            camera: any.
            settings: of the renderer.
        """
        image = draw(gaussians, camera, settings).image
        apart = torch.zeros(image.shape[:2])
        for logits, sh in zip(self.logit_opacities, self.sh, strict=True):
            other = replace(gaussians, logit_opacities=logits, sh=sh.float())
            apart += (draw(other, camera, settings).image - image).abs().mean(2) / PARTS
        reach = round(_NEAR * max(camera.size_px))
        side = 2 * min(reach, (min(camera.size_px) - 1) // 2) + 1
        return avg_pool2d(apart[None], side, stride=1, padding=side // 2, count_include_pad=False)[0]


def refit(
    gaussians: Gaussians,
    views: Sequence[HeldOutView],
    settings: Settings,
    *,
    steps: int = STEPS,
    progress: Callable[[int, int], object] | None = None,
) -> Refits | None:
    """Train colours and opacities of a scene without every second training view, then without the others.

    Args:
        gaussians: the scene.
        views: training views.
        settings: of the renderer that it was trained with.
        steps: of each training.
        progress: called with (steps done, steps in all).

    Returns:
        Refits; None with fewer than two views.
    """
    if len(views) < PARTS or not len(gaussians):
        return None
    gaussians, settings = gaussians.detach(), replace(settings, depth=False)
    logits, sh = [], []
    for part in range(PARTS):
        own = [view for number, view in enumerate(views) if number % PARTS != part]

        def told(done: int, before: int = part * steps) -> None:
            if progress:
                progress(before + done, PARTS * steps)

        scene = _trained(gaussians, own, settings, steps, told)
        logits.append(scene.logit_opacities)
        sh.append(scene.sh.half())
    found = Refits(torch.stack(logits), torch.stack(sh), 0.0)
    some = [views[number].camera for number in evenly(len(views), _MOST_VIEWS)]
    apart = torch.cat([found.deviation_of(gaussians, camera, settings).flatten() for camera in some])
    return replace(found, usual_deviation=float(apart.median()))


def _trained(
    gaussians: Gaussians,
    views: Sequence[HeldOutView],
    settings: Settings,
    steps: int,
    progress: Callable[[int], object],
) -> Gaussians:
    """The scene after training its colours and opacities on some views."""
    logits, sh = (values.clone().requires_grad_() for values in (gaussians.logit_opacities, gaussians.sh))
    scene = replace(gaussians, logit_opacities=logits, sh=sh)
    adam = torch.optim.Adam(
        [{"params": [logits], "lr": _OPACITY_RATE}, {"params": [sh], "lr": _SH_RATE}], eps=1e-15
    )
    cooling = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: _END_FACTOR ** (max(0.0, step / steps - _COOL_FROM) / (1 - _COOL_FROM))
    )
    numbers = torch.Generator().manual_seed(0)
    exposures: dict[int, tuple[Tensor, Tensor]] = {}
    order: list[int] = []
    for step in range(steps):
        order = order or torch.randperm(len(views), generator=numbers).tolist()
        number = order.pop()
        camera, pixels = views[number].camera, views[number].load()
        keep, truth = kept_pixels(pixels), composited(pixels, settings.background)
        if number not in exposures:
            with torch.no_grad():
                image = draw(gaussians, camera, settings).image
            gain, offset = affine_colour(image, truth, keep)
            exposures[number] = gain.to(truth), offset.to(truth)
        gain, offset = exposures[number]
        left, width = _stretch(camera.width, numbers)
        top, height = _stretch(camera.height, numbers)
        box = slice(top, top + height), slice(left, left + width)
        image = draw(scene, camera.cropped(left, top, width, height), settings).image
        wrong = (gain * image + offset - truth[box]).abs()
        error = (wrong if keep is None else wrong * keep[box][..., None]).mean()
        adam.zero_grad()
        (error + _OPACITY_WEIGHT * torch.sigmoid(logits).mean()).backward()
        adam.step()
        cooling.step()
        progress(step + 1)
    return scene.detach()


def _stretch(side: int, numbers: torch.Generator) -> tuple[int, int]:
    """Start and length of a random stretch of a picture's side."""
    length = min(side, _MOST_PX)
    return int(torch.randint(side - length + 1, (1,), generator=numbers)), length
