"""One training step, in two halves. This is the page to read first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from sfumato.render.draw import draw
from sfumato.render.settings import Settings
from sfumato.scene.gaussians import Gaussians
from sfumato.training.context import StepContext
from sfumato.training.part import Gradients, Refinement, Shot
from sfumato.training.state import TrainState
from sfumato.training.target import Target

# Least side of reduced photographs.
_MIN_SIDE_PX = 8


@dataclass(frozen=True)
class StepStats:
    """Statistics of a step.

    Attributes:
        loss_tensor: [] mean loss of the views.
        gaussians: their number after the step.
        visible_tensor: [] number of those that may have touched an image.
        refinement: change of their number; None if there was none.
    """

    loss_tensor: Tensor
    gaussians: int
    visible_tensor: Tensor
    refinement: Refinement | None

    @property
    def loss(self) -> float:
        """Mean loss of the views; reading it synchronises with the device."""
        return float(self.loss_tensor)

    @property
    def visible(self) -> int:
        """Number of Gaussians that may have touched an image; reading it synchronises with the device."""
        return int(self.visible_tensor)


def train_step(state: TrainState, views: Sequence[int]) -> StepStats:
    """Take one step on one or several photographs: render, loss, Adam, densification.

    Args:
        state: changed in place.
        views: indices of the training views.
    """
    return apply(state, gradients(state, views))


def gradients(state: TrainState, views: Sequence[int]) -> Gradients:
    """The first half: gradients of the loss of some photographs.

    Several processes may compute them for different views of one step; ``Gradients.joined`` combines them.

    Args:
        state: of the run; only its random generators advance.
        views: indices of the training views, one or more.
    """
    context = state.context()
    return reduce(Gradients.joined, (_gradients_of_view(state, number, context) for number in views))


def apply(state: TrainState, found: Gradients) -> StepStats:
    """The second half: change the parameters, then the number of Gaussians.

    Args:
        state: changed in place.
        found: gradients of this step.
    """
    state.step = found.context.step
    state.population.descend(found, state.config)
    refinement = None
    for part in state.parts.values():
        refinement = part.step(state, found) or refinement
    source = state.population.take_source()
    if source is not None:
        for part in state.parts.values():
            part.rearrange(source)
    return StepStats(found.loss, len(state.population), torch.count_nonzero(found.visible), refinement)


def _gradients_of_view(state: TrainState, number: int, context: StepContext) -> Gradients:
    parts, gaussians = state.parts.values(), state.population.gaussians
    shot = shot_of(state, number, context)
    target = shot.target(gaussians.means.device)
    wanted = wanted_screen_gradient(state, context)
    render = draw(drawn_scene(state, shot), shot.camera, settings_for(state, shot, wanted))
    if wanted:
        render.seen.retain_gradients()
    loss = loss_of_image(state, render.image, shot, target)
    penalised = target.share * loss
    for part in parts:
        penalty = part.penalty(gaussians, shot)
        penalised = penalised if penalty is None else penalised + penalty
    penalised.backward()
    screen_gradient = render.seen.screen_gradient() if wanted else None
    return _collected(state, shot, loss, render.seen.visible, screen_gradient)


def shot_of(state: TrainState, number: int, context: StepContext) -> Shot:
    """A photograph at the size of the step, as the parts changed it."""
    view = state.views[number]
    size_px = tuple(max(side // context.downscale, _MIN_SIDE_PX) for side in view.camera.size_px)
    shot = Shot(number, view, view.camera.resized(*size_px), state.background, context)
    return reduce(lambda changed, part: part.prepare(changed), state.parts.values(), shot)


def drawn_scene(state: TrainState, shot: Shot) -> Gaussians:
    """The Gaussians in training, and those that parts add."""
    return reduce(
        lambda scene, part: part.drawn(scene, shot), state.parts.values(), state.population.gaussians
    )


def loss_of_image(state: TrainState, image: Tensor, shot: Shot, target: Target) -> Tensor:
    """The loss [] of a render [h, w, 3], without penalties."""
    image = reduce(lambda changed, part: part.apply(changed, shot), state.parts.values(), image)
    return state.loss(shot.framed(image, target), target)


def settings_for(state: TrainState, shot: Shot, screen_gradient: str | None) -> Settings:
    """The settings of the renderer for a shot, with the wanted kind of screen-space gradient."""
    return replace(
        state.settings,
        background=shot.background,
        sh_degree=shot.context.sh_degree,
        absolute_gradient=screen_gradient == "absolute",
    )


def wanted_screen_gradient(state: TrainState, context: StepContext) -> str | None:
    """The kind of screen-space gradient that is collected in this step."""
    wanted = {part.screen_gradient for part in state.parts.values()} if context.is_densifying else set()
    return "absolute" if "absolute" in wanted else "signed" if "signed" in wanted else None


def _collected(
    state: TrainState, shot: Shot, loss: Tensor, visible: Tensor, screen_gradient: Tensor | None
) -> Gradients:
    """The gradients that a backward pass accumulated in the leaves, which are cleared."""
    of_parts = {name: taken_gradients(part.parameters()) for name, part in state.parts.items()}
    # Gaussians that parts added to the picture come after those in training.
    count = len(state.population)
    return Gradients(
        context=shot.context,
        views=(shot.number,),
        loss=loss.detach(),
        of_gaussians=taken_gradients(state.population.trained),
        of_parts={name: found for name, found in of_parts.items() if found},
        visible=visible[:count].int(),
        screen_gradient=None if screen_gradient is None else shot.halves * screen_gradient[:count],
    )


def taken_gradients(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the gradients of the leaves that have one."""
    found = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    for leaf in leaves.values():
        leaf.grad = None
    return found
