"""The interface of the parts of a training step, and the records that they receive."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from sfumato.capture.dataset import View
from sfumato.ops.backend import HOST
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.training.context import StepContext
from sfumato.training.crop import Crop
from sfumato.training.target import Target, make_target

if TYPE_CHECKING:
    from sfumato.training.state import TrainState


@dataclass(frozen=True)
class Shot:
    """A photograph in a step, and how it is rendered.

    Attributes:
        number: index of the training view.
        view: the photograph.
        camera: of the render, at the size of the step.
        background: RGB in [0, 1] behind the render, and behind a transparent photograph.
        context: of the step.
        crop: part of the photograph to which ``camera`` belongs; None: all of it.
    """

    number: int
    view: View
    camera: Camera
    background: tuple[float, float, float]
    context: StepContext
    crop: Crop | None = None

    @property
    def halves(self) -> float:
        """Size of the photograph relative to the render."""
        return self.crop.halves if self.crop else 1.0

    def target(self, device: torch.device = HOST) -> Target:
        """The target of the render, on a device."""
        pixels = self.view.load()
        if self.crop:
            return self.crop.target(pixels, self.background, device)
        return make_target(pixels, self.camera.size_px, self.background, device)

    def framed(self, image: Tensor, target: Target) -> Tensor:
        """The render for comparison with the target: that of a crop is pasted into the photograph."""
        return self.crop.framed(image, target.image) if self.crop else image


@dataclass(frozen=True)
class Refinement:
    """Numbers of Gaussians that a step added and removed."""

    added: int
    removed: int


@dataclass(frozen=True)
class Gradients:
    """The gradients of one or several views: the first half of a step.

    Attributes:
        context: of the step.
        views: numbers of the training views.
        loss: [] mean over the views.
        of_gaussians: gradient of the mean loss with respect to each trained field of the Gaussians, by name.
        of_parts: the same for the parameters of the parts, by the names of part and parameter.
        visible: [n] int32 number of the views in which each Gaussian may have touched the image.
        screen_gradient: [n] sum over the views of the norm of the gradient of each view's loss with respect
            to the position in the image, in units of half the image; None if it was not collected.
    """

    context: StepContext
    views: tuple[int, ...]
    loss: Tensor
    of_gaussians: Mapping[str, Tensor]
    of_parts: Mapping[str, Mapping[str, Tensor]]
    visible: Tensor
    screen_gradient: Tensor | None

    def joined(self, other: Gradients) -> Gradients:
        """The gradients of both sets of views, as if one process had rendered them all.

        Both must be of the same step and the same scene.
        """
        share = len(self.views) / (len(self.views) + len(other.views))

        def means(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Tensor]:
            # A parameter that is missing on one side has zero gradient there.
            scaled = [(share, a), (1 - share, b)]
            return {
                name: _sum(weight * side[name] for weight, side in scaled if name in side)
                for name in {**a, **b}
            }

        of_parts = {**self.of_parts, **other.of_parts}
        screen = [x for x in (self.screen_gradient, other.screen_gradient) if x is not None]
        return replace(
            self,
            views=self.views + other.views,
            loss=share * self.loss + (1 - share) * other.loss,
            of_gaussians=means(self.of_gaussians, other.of_gaussians),
            of_parts={
                name: means(self.of_parts.get(name, {}), other.of_parts.get(name, {})) for name in of_parts
            },
            visible=self.visible + other.visible,
            screen_gradient=_sum(screen) if screen else None,
        )


def _sum(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of one or more tensors."""
    return functools.reduce(torch.add, tensors)


class Part:
    """An element of a training step; a subclass overrides the methods that it needs.

    Attributes:
        name: key in ``TrainState.parts`` and in checkpoints.
        screen_gradient: kind of screen-space gradient that it needs while the number of Gaussians may grow:
            "signed", "absolute" (absolute values summed over pixels), or None.
        has_rows: whether each tensor of its ``state_dict`` has a row for each Gaussian.
    """

    name: ClassVar[str]
    screen_gradient: str | None = None
    has_rows: ClassVar[bool] = False

    def prepare(self, shot: Shot) -> Shot:
        """Change the camera or the background before rendering."""
        return shot

    def drawn(self, gaussians: Gaussians, shot: Shot) -> Gaussians:
        """The scene to render for a shot: the Gaussians in training, then any that are not trained."""
        return gaussians

    def apply(self, image: Tensor, shot: Shot) -> Tensor:
        """Change the render [h, w, 3] before it is compared with the photograph."""
        return image

    def penalty(self, gaussians: Gaussians, shot: Shot) -> Tensor | None:
        """A term [] to add to the loss of a view, or None."""
        return None

    def parameters(self) -> dict[str, Tensor]:
        """Its own trained leaf tensors, by name."""
        return {}

    def step(self, state: TrainState, gradients: Gradients) -> Refinement | None:
        """Update its own state, or the Gaussians, after their Adam step.

        Args:
            state: of the run, changed in place.
            gradients: of this step.

        Returns:
            The change of the number of Gaussians; None if there was none.
        """
        return None

    def rearrange(self, source: Tensor) -> None:
        """Follow a change of the rows of the Gaussians, after ``step`` of all parts.

        Args:
            source: [m] int64 row before the step from which each of m Gaussians was made.
        """

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values from which ``load_state_dict`` resumes."""
        return {}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Resume from the result of ``state_dict``, with tensors on the device of the scene."""
