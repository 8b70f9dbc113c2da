"""The full state of a training run."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from sfumato.capture.backdrop import backdrop
from sfumato.capture.dataset import Capture, View, reduction_of
from sfumato.errors import ConfigError
from sfumato.ops.backend import HOST
from sfumato.render.settings import Settings
from sfumato.scene.changes import about, with_degree
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import GENERATOR, Metadata, Scene, metadata_of, with_metadata
from sfumato.training.clearance import Clearance
from sfumato.training.colour_form import file_form, trained_form
from sfumato.training.config import TrainConfig
from sfumato.training.context import StepContext
from sfumato.training.loss import Loss, photometric_loss
from sfumato.training.part import Part
from sfumato.training.parts import make_parts
from sfumato.training.parts.average import Average
from sfumato.training.population import Population
from sfumato.training.render_settings import settings_of
from sfumato.training.sampler import ViewSampler
from sfumato.training.schedules import downscale_at, gaussians_allowed, rate_of, sh_degree_at
from sfumato.training.start import gaussians_from_points

_log = logging.getLogger("sfumato")


@dataclass
class TrainState:
    """A run between two steps.

    Attributes:
        config: options of training.
        views: the training views.
        population: the Gaussians and Adam's moments.
        parts: of a step beside rendering and loss, by name, in the order in which they are called.
        loss: of a render and its target.
        settings: of the renderer; the step sets background, SH degree and gradients.
        sampler: order of the views.
        generator: random numbers on the CPU, shared with the sampler.
        scene_generator: random numbers on the scene's device; on the CPU it is ``generator``.
        depth: distance of the scene from the cameras, scene units.
        clearance: the cameras, and the space around them that is kept empty.
        start_count, cap: number of Gaussians at the start, and their largest number.
        background: RGB in [0, 1] behind transparent pictures.
        step: number of completed steps.
        seconds: training time so far.
        process_rows: numbers of Gaussians, in their order, that each of several processes trained before the
            checkpoint from which this is restored; empty if it was one process.
    """

    config: TrainConfig
    views: tuple[View, ...]
    population: Population
    parts: dict[str, Part]
    loss: Loss
    settings: Settings
    sampler: ViewSampler
    generator: torch.Generator
    scene_generator: torch.Generator
    depth: float
    clearance: Clearance
    start_count: int
    cap: int
    background: tuple[float, float, float]
    step: int = 0
    seconds: float = 0.0
    process_rows: tuple[int, ...] = ()

    @property
    def gaussians(self) -> Scene:
        """The current scene, without gradients; may share memory with the state."""
        average = self.parts.get(Average.name)
        mean = average.gaussians if isinstance(average, Average) else None
        scene = file_form(self.population.gaussians.detach() if mean is None else mean, self.config.colour)
        return with_metadata(scene, Metadata(antialiased=self.config.antialiased, source=GENERATOR))

    @property
    def num_gaussians(self) -> int:
        """Their number."""
        return len(self.population)

    @property
    def progress(self) -> float:
        """Fraction of the run that is done, by steps or by time."""
        config = self.config
        if config.steps:
            return min(self.step / config.steps, 1.0)
        assert config.minutes is not None
        return min(self.seconds / (60 * config.minutes), 1.0)

    def context(self) -> StepContext:
        """The context of the next step."""
        schedule, progress = self.config.schedule, self.progress
        return StepContext(
            step=self.step + 1,
            progress=progress,
            sh_degree=sh_degree_at(schedule, self.config.highest_degree, progress),
            downscale=downscale_at(schedule, progress),
            is_densifying=progress < schedule.refine_until,
            is_settling=progress >= schedule.settle_from,
            max_gaussians=gaussians_allowed(schedule, self.start_count, self.cap, progress),
            means_rate=rate_of(self.config.rates, "means", progress) * self.depth,
            depth=self.depth,
            clearance=self.clearance,
            generator=self.generator,
            scene_generator=self.scene_generator,
        )

    def state_dict(self) -> dict[str, Any]:
        own = self.scene_generator
        return {
            "population": self.population.state_dict(),
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "sampler": self.sampler.state_dict(),
            "generator": self.generator.get_state(),
            "scene_generator": None if own is self.generator else own.get_state(),
            "start_count": self.start_count,
            "cap": self.cap,
            "step": self.step,
            "seconds": self.seconds,
        }


def start(
    capture: Capture,
    config: TrainConfig,
    *,
    cap: int,
    init: Gaussians | None = None,
    parts: Iterable[Part] = (),
    loss: Loss | None = None,
    device: torch.device = HOST,
) -> TrainState:
    """The state before the first step.

    Args:
        capture: the training data.
        config: options of training.
        cap: largest number of Gaussians.
        init: a scene to start from instead of the capture's points; one with an offset is moved to that of
            the capture.
        parts: the user's parts; see ``make_parts``.
        loss: replaces the photometric loss.
        device: of the scene.

    Raises:
        ConfigError: ``init`` holds no Gaussians.
    """
    generator = torch.Generator().manual_seed(config.seed)
    clearance = Clearance.of(capture, config.clearance)
    if init is None:
        points = capture.points
        if not capture.points_are_random and capture.background is None:
            points = points.joined(backdrop(capture, min(len(points), cap - len(points))))
        init = gaussians_from_points(points, sh_degree=config.highest_degree, clearance=clearance)
    else:
        if metadata_of(init).antialiased and not config.antialiased:
            _log.warning(
                "the scene to start from is made for anti-aliased rendering; --antialiased goes on so"
            )
        known = metadata_of(init).offset
        if known is not None and known != capture.offset:
            _log.warning("the scene to start from is moved to the offset of the dataset")
            init = about(init, capture.offset)
        init = with_degree(Gaussians(**init.tensors()), config.highest_degree)
    if len(init) == 0:
        raise ConfigError("the scene to start from holds no Gaussians")
    if len(init) > cap:
        chosen = torch.randperm(len(init), generator=generator)[:cap].sort().values
        init = init.select(chosen)
    population = Population.starting_with(trained_form(init, config.colour).to(device), config.frozen)
    return _first(capture, config, population, clearance, cap, generator, parts, loss)


def restore(
    saved: dict[str, Any],
    capture: Capture,
    config: TrainConfig,
    device: torch.device = HOST,
    parts: Iterable[Part] = (),
) -> TrainState:
    """The state from the result of ``TrainState.state_dict``, with tensors on the CPU.

    Args:
        saved: the result.
        capture: the training data.
        config: options of training.
        device: of the scene.
        parts: further parts with which the run was started.
    """
    random, of_scene, saved = saved["generator"], saved.get("scene_generator"), moved_to(saved, device)
    population = Population.from_state_dict(saved["population"], config.frozen)
    clearance = Clearance.of(capture, config.clearance)
    state = _first(capture, config, population, clearance, saved["cap"], torch.Generator(), parts)
    for name, part in state.parts.items():
        part.load_state_dict(saved["parts"][name])
    state.sampler.load_state_dict(saved["sampler"])
    state.generator.set_state(random)
    if of_scene is not None and state.scene_generator is not state.generator:
        state.scene_generator.set_state(of_scene)
    state.start_count, state.step, state.seconds = saved["start_count"], saved["step"], saved["seconds"]
    state.process_rows = tuple(int(count) for count in saved.get("process_rows", ()))
    return state


def moved_to(saved: Any, device: torch.device) -> Any:
    """Dictionaries of tensors and plain values, with the tensors on a device."""
    if isinstance(saved, dict):
        return {name: moved_to(value, device) for name, value in saved.items()}
    return saved.to(device) if isinstance(saved, torch.Tensor) else saved


def generator_on(device: torch.device, host: torch.Generator) -> torch.Generator:
    """A random generator on a device, seeded like that of the CPU; on the CPU it is that one."""
    return host if device.type == "cpu" else torch.Generator(device).manual_seed(host.initial_seed())


def _first(
    capture: Capture,
    config: TrainConfig,
    population: Population,
    clearance: Clearance,
    cap: int,
    generator: torch.Generator,
    parts: Iterable[Part],
    loss: Loss | None = None,
) -> TrainState:
    views, device = capture.train_views, population.gaussians.means.device
    return TrainState(
        config=config,
        views=views,
        population=population,
        parts=make_parts(capture, config, parts, device),
        loss=loss or photometric_loss(config),
        settings=replace(settings_of(config, reduction=reduction_of(views)), colour=config.colour),
        sampler=ViewSampler(len(views), generator, capture.view_weights),
        generator=generator,
        scene_generator=generator_on(device, generator),
        depth=capture.depth,
        clearance=clearance,
        start_count=len(population),
        cap=cap,
        background=capture.render_background,
    )
