"""Everything that a run carries from one step to the next."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import torch

from sfumato.capture.backdrop import backdrop
from sfumato.capture.dataset import Capture
from sfumato.errors import ConfigError
from sfumato.scene.changes import with_degree
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.scene import Metadata, Scene, metadata_of, with_metadata
from sfumato.training.average import Average
from sfumato.training.clearance import Clearance
from sfumato.training.colour import file_form, trained_form
from sfumato.training.config import TrainConfig
from sfumato.training.densify import Densifier, make_densifier
from sfumato.training.exposure import Exposure
from sfumato.training.population import Population
from sfumato.training.poses import Poses
from sfumato.training.sampler import ViewSampler
from sfumato.training.start import gaussians_from_points

_log = logging.getLogger("sfumato")


@dataclass
class TrainState:
    """A run between two steps.

    Attributes:
        population: the Gaussians and Adam's moments.
        densifier: the strategy and what it has gathered.
        average: of the last scenes.
        exposure: of each photograph, or None.
        sampler: what is visited next.
        generator: source of all randomness but the sampler's shuffles, which share it.
        depth: how far the scene is from the cameras, scene units.
        clearance: the cameras, and the free space around them.
        start_count, cap: number of Gaussians at the start, and the most there may be.
        background: RGB behind transparent pictures.
        step: steps done.
        seconds: time spent training so far.
        poses: corrections of those of the photographs, or None.
        colour: what is trained of it, a form of ``ops.colour``.
        antialiased: what the scene is made for.
    """

    population: Population
    densifier: Densifier
    average: Average
    exposure: Exposure | None
    sampler: ViewSampler
    generator: torch.Generator
    depth: float
    clearance: Clearance
    start_count: int
    cap: int
    background: tuple[float, float, float]
    step: int = 0
    seconds: float = 0.0
    poses: Poses | None = None
    colour: str = "sh"
    antialiased: bool = False

    @property
    def gaussians(self) -> Scene:
        """The scene as it is now, outside the autograd graph; may share memory with the state."""
        mean = self.average.gaussians
        scene = file_form(self.population.gaussians.detach() if mean is None else mean, self.colour)
        return with_metadata(scene, Metadata(antialiased=self.antialiased))

    def progress(self, config: TrainConfig) -> float:
        """Share of the run that is done, by steps or by the clock."""
        done = self.step / config.steps if config.steps else self.seconds / (60 * config.minutes)
        return min(done, 1.0)

    def state_dict(self) -> dict:
        return {
            "population": self.population.state_dict(),
            "densifier": self.densifier.state_dict(),
            "average": self.average.state_dict(),
            "exposure": self.exposure.state_dict() if self.exposure else None,
            "poses": self.poses.state_dict() if self.poses else None,
            "sampler": self.sampler.state_dict(),
            "generator": self.generator.get_state(),
            "start_count": self.start_count,
            "cap": self.cap,
            "step": self.step,
            "seconds": self.seconds,
        }


def start(capture: Capture, config: TrainConfig, *, cap: int, init: Gaussians | None = None) -> TrainState:
    """The state before the first step.

    Args:
        capture: what to train on.
        config: how.
        cap: the most Gaussians there may be.
        init: a scene to start from instead of the capture's points.

    Raises:
        ConfigError: ``init`` holds no Gaussians.
    """
    generator = torch.Generator().manual_seed(config.seed)
    if init is None:
        points, cameras = capture.points, Clearance.of(capture, 0.0)
        if not capture.points_are_random and capture.background is None:
            points = points.joined(backdrop(capture, min(len(points), cap - len(points))))
        init = gaussians_from_points(points, sh_degree=config.highest_degree, clearance=cameras)
    else:
        if metadata_of(init).antialiased and not config.antialiased:
            _log.warning(
                "the scene to start from is made for anti-aliased rendering; --antialiased goes on so"
            )
        init = with_degree(Gaussians(**init.tensors()), config.highest_degree)
    if len(init) == 0:
        raise ConfigError("the scene to start from holds no Gaussians")
    if len(init) > cap:
        chosen = torch.randperm(len(init), generator=generator)[:cap].sort().values
        init = init.select(chosen)
    return _first(capture, config, trained_form(init, config.colour), cap, generator)


def _first(
    capture: Capture, config: TrainConfig, init: Gaussians, cap: int, generator: torch.Generator
) -> TrainState:
    views, depth = capture.train_views, capture.depth
    return TrainState(
        population=Population.starting_with(init),
        densifier=make_densifier(config),
        average=Average(),
        exposure=Exposure(len(views)) if config.exposure else None,
        sampler=ViewSampler(len(views), generator),
        generator=generator,
        depth=depth,
        clearance=Clearance.of(capture, config.clearance),
        start_count=len(init),
        cap=cap,
        background=capture.render_background,
        poses=Poses.of(views, depth) if config.refine_poses else None,
        colour=config.colour,
        antialiased=config.antialiased,
    )


def restore(saved: dict, capture: Capture, config: TrainConfig) -> TrainState:
    """The state that ``TrainState.state_dict`` was taken of."""
    population = Population.from_state_dict(saved["population"])
    state = _first(capture, config, population.gaussians, saved["cap"], torch.Generator())
    state = replace(state, population=population, start_count=saved["start_count"])
    state.densifier.load_state_dict(saved["densifier"])
    state.average.load_state_dict(saved["average"])
    if state.exposure:
        state.exposure.load_state_dict(saved["exposure"])
    if state.poses:
        state.poses.load_state_dict(saved["poses"])
    state.sampler.load_state_dict(saved["sampler"])
    state.generator.set_state(saved["generator"])
    state.step, state.seconds = saved["step"], saved["seconds"]
    return state
