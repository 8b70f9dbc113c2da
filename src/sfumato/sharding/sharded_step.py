"""One training step of several processes. Read ``training/step.py`` first.

Each process projects its own Gaussians to all views of the step. The splats that a view shows travel to the
process that renders it, which compares it with its photograph; their gradients travel back, and each process
changes its own Gaussians.

Source: Zhao et al. 2024 (Grendel), with Gaussians divided by place instead of at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.render.output import RasterizedGaussians, norm_in_half_images
from sfumato.render.raster_halves import ProjectedGaussians, blended, projected_scene
from sfumato.render.settings import RasterSettings
from sfumato.sharding.sharded_state import ShardedState
from sfumato.sharding.traffic import Traffic
from sfumato.training.part import Gradients, Shot
from sfumato.training.state import TrainState
from sfumato.training.step import (
    StepStats,
    apply,
    drawn_scene,
    loss_of_image,
    settings_for,
    shot_of,
    taken_gradients,
    wanted_screen_gradient,
)

# Columns of a packed splat: centre, conic, opacity, colour; then those without a gradient: depth and radius.
_WIDTHS = (2, 3, 1, 3, 1, 2)
_WITH_GRADIENT = sum(_WIDTHS[:4])
_COLUMNS = sum(_WIDTHS)


class OwnSplats(NamedTuple):
    """The Gaussians of this process that a view may show.

    Attributes:
        rows: [m] int64 their rows.
        packed: [m, 12] their splats.
        settings: of the renderer for the view.
    """

    rows: Tensor
    packed: Tensor
    settings: RasterSettings


def sharded_train_step(state: TrainState, views: Sequence[int]) -> StepStats:
    """Take one step on one or several photographs, in process 0, which tells the others.

    Args:
        state: a ``ShardedState``, changed in place.
        views: indices of the training views.
    """
    assert isinstance(state, ShardedState)
    state.ranks.broadcast({"do": "step", "views": list(views), "seconds": state.seconds})
    return step_together(state, views)


def step_together(state: ShardedState, views: Sequence[int]) -> StepStats:
    """Take one step; every process calls it with the same views."""
    return state.of_all(apply(state, sharded_gradients(state, views)))


def sharded_gradients(state: ShardedState, views: Sequence[int]) -> Gradients:
    """The gradients of the Gaussians of this process; every process calls it with the same views.

    They are those of ``training.step.gradients``, except for rounding.

    Args:
        state: of this process.
        views: indices of the training views.
    """
    context, share = state.context(), 1.0 / len(views)
    wanted = wanted_screen_gradient(state, context)
    shots = [shot_of(state, number, context) for number in views]
    own = [_own_splats(state, shot, wanted) for shot in shots]
    traffic = Traffic(state.ranks, [len(one.rows) for one in own])
    loss, back = torch.zeros(()), {}
    for view, packed in traffic.to_renderers([one.packed.detach() for one in own]).items():
        loss_of_view, back[view] = _rendered(state, shots[view], packed, own[view].settings)
        loss += share * loss_of_view
    gradients = traffic.to_owners(back, loss.new_empty(0, _WITH_GRADIENT + 2 * (wanted == "absolute")))
    _backward(state, shots, own, gradients)
    state.sent_bytes += traffic.sent_bytes
    loss, of_parts = _summed(state, loss, share)
    of_gaussians = taken_gradients(state.population.trained)
    for gradient in of_gaussians.values():
        gradient *= share
    rows = [one.rows[one.rows < len(state.population)] for one in own]
    screen = [_screen_gradient(*each, wanted) for each in zip(shots, gradients, strict=True)]
    zeros = torch.zeros(len(state.population))
    return Gradients(
        context=context,
        views=tuple(views),
        loss=loss,
        of_gaussians=of_gaussians,
        of_parts=of_parts,
        visible=_scattered(zeros.int(), rows, [torch.ones_like(each, dtype=torch.int32) for each in rows]),
        screen_gradient=_scattered(zeros, rows, screen) if wanted else None,
    )


def _own_splats(state: ShardedState, shot: Shot, wanted: str | None) -> OwnSplats:
    scene, settings = drawn_scene(state, shot), settings_for(state, shot, wanted)
    assert isinstance(settings, RasterSettings)
    splats = projected_scene(scene, shot.camera, settings)
    rows = splats.visible.nonzero().squeeze(1)
    columns = [column[rows].reshape(len(rows), -1).to(splats.mean_px.dtype) for column in splats]
    return OwnSplats(rows, torch.cat(columns, dim=1), settings)


def _rendered(
    state: ShardedState, shot: Shot, packed: Tensor, settings: RasterSettings
) -> tuple[Tensor, Tensor]:
    """Loss [] of a view, and its gradient [m, 9 or 11] with respect to the splats."""
    leaf = packed.requires_grad_()
    mean_px, conic, opacities, channels, depth, radius_px = leaf.split(_WIDTHS, dim=1)
    splats = ProjectedGaussians(
        mean_px.contiguous(),
        conic.contiguous(),
        opacities[:, 0].contiguous(),
        channels.contiguous(),
        depth[:, 0].detach().contiguous(),
        radius_px.detach().int().contiguous(),
    )
    render = blended(splats, shot.camera, settings)
    target = shot.target()
    loss = loss_of_image(state, render.image, shot, target)
    (target.share * loss).backward()
    assert leaf.grad is not None and isinstance(render.seen, RasterizedGaussians)
    gradient, probe = leaf.grad[:, :_WITH_GRADIENT], render.seen.absolute_gradient_probe
    if probe is not None:
        assert probe.grad is not None
        gradient = torch.cat([gradient, probe.grad], dim=1)
    return loss.detach(), gradient


def _backward(
    state: ShardedState, shots: Sequence[Shot], own: Sequence[OwnSplats], gradients: Sequence[Tensor]
) -> None:
    """Accumulate the gradients of all views in the leaves, with those of the penalties."""
    outputs, seeds = [], []
    for one, gradient in zip(own, gradients, strict=True):
        if one.packed.requires_grad:
            outputs.append(one.packed)
            seeds.append(
                torch.nn.functional.pad(gradient[:, :_WITH_GRADIENT], (0, _COLUMNS - _WITH_GRADIENT))
            )
    # A penalty is a mean over Gaussians, of which these are a share.
    share = torch.tensor(len(state.population) / max(state.total, 1))
    for shot in shots:
        found = [part.penalty(state.population.gaussians, shot) for part in state.parts.values()]
        of_shot = [penalty for penalty in found if penalty is not None and penalty.requires_grad]
        outputs += of_shot
        seeds += [share] * len(of_shot)
    if outputs:
        torch.autograd.backward(outputs, seeds)


def _summed(state: ShardedState, loss: Tensor, share: float) -> tuple[Tensor, dict[str, dict[str, Tensor]]]:
    """The loss, and the gradients of the parameters of the parts, over all processes."""
    leaves = {
        (name, key): leaf for name, part in state.parts.items() for key, leaf in part.parameters().items()
    }
    own = {name: taken_gradients(part.parameters()) for name, part in state.parts.items()}
    flat = [loss[None]]
    for (name, key), leaf in leaves.items():
        found = own[name].get(key)
        # Whether there is a gradient travels with it.
        flat += [
            loss.new_tensor([found is not None]),
            torch.zeros(leaf.numel()) if found is None else share * found.flatten(),
        ]
    values = state.ranks.summed(torch.cat(flat))
    of_parts: dict[str, dict[str, Tensor]] = {}
    loss, place = values[0], 1
    for (name, key), leaf in leaves.items():
        if values[place] > 0:
            gradient = values[place + 1 : place + 1 + leaf.numel()]
            of_parts.setdefault(name, {})[key] = gradient.reshape(leaf.shape)
        place += 1 + leaf.numel()
    return loss, of_parts


def _screen_gradient(shot: Shot, gradient: Tensor, wanted: str | None) -> Tensor:
    """[m] screen-space gradients of the splats of a view."""
    columns = gradient[:, _WITH_GRADIENT:] if wanted == "absolute" else gradient[:, :2]
    return shot.halves * norm_in_half_images(columns, shot.camera.size_px)


def _scattered(zeros: Tensor, rows: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    """[n] sum over the views of values of some rows; those of further rows are left out."""
    total = zeros.clone()
    for these, value in zip(rows, values, strict=True):
        total[these] += value[: len(these)]
    return total
