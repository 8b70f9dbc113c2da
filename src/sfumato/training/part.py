"""What a training step hands to its parts, and what a part may do with it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from sfumato.capture.dataset import View
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.training.context import StepContext
from sfumato.training.crop import Crop
from sfumato.training.target import Target, make_target

if TYPE_CHECKING:
    from sfumato.training.state import TrainState


@dataclass(frozen=True)
class Shot:
    """A photograph as a step looks at it.

    Attributes:
        number: its place among the training views.
        view: the photograph.
        camera: which the scene is rendered from, at the size of the step.
        background: RGB in [0, 1] behind the render, and behind a transparent photograph.
        context: of the step.
        crop: the part of the photograph that ``camera`` is of; None: all of it.
    """

    number: int
    view: View
    camera: Camera
    background: tuple[float, float, float]
    context: StepContext
    crop: Crop | None = None

    @property
    def halves(self) -> float:
        """Half sides of the photograph, as a multiple of those of what is rendered."""
        return self.crop.halves if self.crop else 1.0

    def target(self) -> Target:
        """What the render is compared with."""
        pixels = self.view.load()
        if self.crop:
            return self.crop.target(pixels, self.background)
        return make_target(pixels, self.camera.size_px, self.background)

    def framed(self, image: Tensor, target: Target) -> Tensor:
        """The render as it is compared with the target: where it is a part, with the photograph round it."""
        return self.crop.framed(image, target.image) if self.crop else image


@dataclass(frozen=True)
class Refinement:
    """How a step changed the number of Gaussians."""

    added: int
    removed: int


@dataclass(frozen=True)
class Gradients:
    """What one or several views tell about every parameter: the first half of a step.

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
        """Those of both sets of views, as if one process had looked at all of them.

        Both must be of the same step and the same scene.
        """
        share = len(self.views) / (len(self.views) + len(other.views))

        def means(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Tensor]:
            # One of the two may say nothing of a parameter, which then has no gradient there.
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
    """Of one or more."""
    return functools.reduce(torch.add, tensors)


class Part:
    """One of the things that a training step consists of; a subclass overrides what it takes part in.

    Attributes:
        name: by which it is found in ``TrainState.parts`` and in checkpoints.
        screen_gradient: which gradient with respect to the position in the image it needs while the number
            of Gaussians may grow: "signed", "absolute" (summed over pixels by absolute value), or None.
    """

    name: ClassVar[str]
    screen_gradient: str | None = None

    def prepare(self, shot: Shot) -> Shot:
        """Change what is rendered, before it is: the camera or the background."""
        return shot

    def apply(self, image: Tensor, shot: Shot) -> Tensor:
        """Change the render [h, w, 3] before it is compared with the photograph."""
        return image

    def penalty(self, gaussians: Gaussians, shot: Shot) -> Tensor | None:
        """A term [] to add to the loss of a view, or None."""
        return None

    def parameters(self) -> dict[str, Tensor]:
        """Leaf tensors of its own that gradients are wanted of, by name."""
        return {}

    def step(self, state: TrainState, gradients: Gradients) -> Refinement | None:
        """Update what is its own, or the Gaussians; they have taken their Adam step already.

        Args:
            state: of the run, changed in place.
            gradients: of this step.

        Returns:
            How the number of Gaussians changed, None if it did not.
        """
        return None

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values that ``load_state_dict`` goes on from."""
        return {}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave; its tensors lie on the device of the scene."""
