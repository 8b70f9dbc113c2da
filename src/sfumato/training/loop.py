"""The training loop. ``train_step`` is the page to read first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sfumato import ops
from sfumato.capture.dataset import Capture, View
from sfumato.render.draw import draw
from sfumato.render.output import Render
from sfumato.render.settings import Settings, settings_for
from sfumato.scene.cameras import Camera
from sfumato.training.config import TrainConfig
from sfumato.training.densify import Moment, Refinement
from sfumato.training.optimiser import optimise
from sfumato.training.schedules import grown_count, rate_of, sh_degree_at, shrink_factor
from sfumato.training.state import TrainState
from sfumato.training.target import make_target

# Photographs that are decoded ahead of their turn.
_AHEAD = 4
# The nearest that a Gaussian is taken to be where its size is judged, in units of the scene's depth.
_LEAST_DISTANCE = 0.2


@dataclass(frozen=True)
class StepStats:
    """What a step reports."""

    loss: float
    gaussians: int
    visible: int
    refinement: Refinement | None


# Called after a step. What it returns are seconds that it waited on purpose: they are not training.
Callback = Callable[[TrainState, StepStats], float | None]


def train_step(state: TrainState, view: View, number: int, config: TrainConfig) -> StepStats:
    """Take one step on one photograph: render, compare, descend, refine.

    Args:
        state: changed in place.
        view: the photograph.
        number: its place among the training views.
        config: how to train.
    """
    progress = state.progress(config)
    gaussians = state.population.gaussians
    background = _background(state, config)
    size_px = tuple(max(side // shrink_factor(config.schedule, progress), 8) for side in view.camera.size_px)
    target = make_target(view.load(), size_px, background)
    degree = sh_degree_at(config.schedule, config.highest_degree, progress)

    # Where the number of Gaussians grows no more, nobody asks how hard they are pulled.
    watched = progress < config.schedule.refine_until
    settings = _settings(state, config, background, degree, watched)
    camera = _camera(state, view.camera.resized(*size_px), number, config, progress)
    render = draw(gaussians, camera, settings)
    if watched:
        render.seen.watch()
    image = state.exposure.apply(render.image, number) if state.exposure else render.image
    loss = ops.photometric_loss(
        image, target.image, target.weight, ssim_weight=config.ssim_weight, pixel_loss=config.pixel_loss
    )
    penalty = state.densifier.penalty(gaussians, _distances(state, camera))
    (loss if penalty is None else loss + penalty).backward()

    if watched:
        state.densifier.observe(render)
    state.step += 1
    _descend(state, render, number, config, progress, degree)
    refinement = None
    if progress < config.schedule.settle_from:
        # A run that is resumed to go on for longer leaves its end.
        state.average.forget()
        refinement = state.densifier.refine(state.population, _moment(state, config, progress))
    else:
        state.average.add(state.population.gaussians, state.step)
    return StepStats(
        float(loss.detach()), len(state.population), int(torch.count_nonzero(render.seen.visible)), refinement
    )


def train(
    capture: Capture, config: TrainConfig, state: TrainState, callbacks: Sequence[Callback] = ()
) -> TrainState:
    """Train until the steps or the minutes are used up.

    Args:
        capture: photographs with cameras.
        config: how to train.
        state: from ``start`` or a checkpoint, changed in place.
        callbacks: called after each step with the state and its report; they must not change it.

    Returns:
        The state.
    """
    views = capture.train_views
    before, began = state.seconds, time.perf_counter()
    threads = torch.get_num_threads()
    # The kernels have threads of their own; torch's would only take turns with them.
    torch.set_num_threads(1)
    try:
        while state.progress(config) < 1:
            number = state.sampler.next()
            capture.read_ahead(views[i] for i in state.sampler.upcoming(_AHEAD))
            stats = train_step(state, views[number], number, config)
            state.seconds = before + time.perf_counter() - began
            for callback in callbacks:
                began += callback(state, stats) or 0.0
    finally:
        torch.set_num_threads(threads)
    return state


def _background(state: TrainState, config: TrainConfig) -> tuple[float, float, float]:
    if config.random_background:
        return tuple(torch.rand(3, generator=state.generator).tolist())
    return state.background


def _camera(state: TrainState, camera: Camera, number: int, config: TrainConfig, progress: float) -> Camera:
    if not state.poses:
        return camera
    with torch.set_grad_enabled(progress >= config.schedule.poses_from):
        return state.poses.refined(camera, number)


@torch.no_grad()
def _distances(state: TrainState, camera: Camera) -> torch.Tensor:
    """[n] from the camera, at least a share of how far the scene is: a few near ones are not all."""
    means = state.population.gaussians.means
    return (means - camera.centre_world.to(means)).norm(dim=1).clamp_min(_LEAST_DISTANCE * state.depth)


def _settings(
    state: TrainState, config: TrainConfig, background: tuple[float, float, float], degree: int, watched: bool
) -> Settings:
    return settings_for(
        config.renderer,
        background=background,
        sh_degree=degree,
        colour=config.colour,
        antialiased=config.antialiased,
        depth=False,
        absolute_gradient=watched and state.densifier.absolute_gradient,
    )


def _descend(
    state: TrainState, render: Render, number: int, config: TrainConfig, progress: float, degree: int
) -> None:
    optimise(
        state.population,
        render.seen.visible,
        config.rates,
        progress=progress,
        depth=state.depth,
        sh_degree=degree,
        colour=config.colour,
        step=state.step,
    )
    if state.exposure:
        state.exposure.step(number, rate_of(config.rates, "exposure", progress))
    if state.poses and progress >= config.schedule.poses_from:
        parts = ("pose_rotations", "pose_translations")
        state.poses.step(number, tuple(rate_of(config.rates, part, progress) for part in parts))


def _moment(state: TrainState, config: TrainConfig, progress: float) -> Moment:
    return Moment(
        step=state.step,
        progress=progress,
        allowed=grown_count(config.schedule, state.start_count, state.cap, progress),
        means_rate=rate_of(config.rates, "means", progress) * state.depth,
        depth=state.depth,
        clearance=state.clearance,
        generator=state.generator,
    )
