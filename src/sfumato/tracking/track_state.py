"""The full state of a tracked run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sfumato.capture.multiview import RigCamera
from sfumato.maths.neighbours import Neighbours, near_neighbours
from sfumato.maths.quaternions import normalised
from sfumato.render.settings import RasterSettings
from sfumato.render.visibility import Footprints, footprints
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.bodies import Bodies, find_bodies
from sfumato.tracking.edges import EdgeStrain, softened, strained
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.nodes import Nodes, place_nodes
from sfumato.tracking.track_config import TrackConfig
from sfumato.tracking.vote import move_by_vote

# Near plane, as a share of the median distance of the Gaussians from the cameras.
_NEAR_SHARE = 0.1
# Consecutive steps of absence after which a Gaussian dies, and of missing areas after which some are added.
LASTING, MISSING_STEPS = 3, 2
# A step later than all.
NEVER = 2**31
# Logit opacity of Gaussians that do not exist.
INVISIBLE = -30.0
# A static Gaussian is doubtful, possibly part of a moving object, if something moves there for this share of
# the cameras in the first step.
_DOUBTFUL = 0.5


@dataclass(frozen=True)
class MovingPoses:
    """Poses of m moving Gaussians.

    Attributes:
        means: [m, 3] world frame, scene units.
        quats: [m, 4] world_from_local as (w, x, y, z), of length one.
    """

    means: Tensor
    quats: Tensor


@dataclass(frozen=True)
class StepResult:
    """The result of a time step, for m Gaussians that moved before it and n - m static ones.

    Attributes:
        poses: of the m moving Gaussians.
        born: Gaussians that exist from this step on; None: none.
        absent: [m] int32 consecutive steps, up to this one, in which a Gaussian was seen to be absent.
        still_absent: [n - m] int32 the same for the static Gaussians.
        missing: consecutive steps in which cameras saw something that no Gaussian represents.
    """

    poses: MovingPoses
    born: Gaussians | None
    absent: Tensor
    still_absent: Tensor
    missing: int


@dataclass
class TrackState:
    """A run between two time steps; m of n Gaussians move.

    Attributes:
        config: how to track.
        cameras: the training cameras.
        gaussians: all n, each at the first step at which it exists: those of the first step, followed by
            those born later.
        ids: [m] int64 rows of the moving ones in ``gaussians``.
        gains, offsets: [c, 3] colour of each training camera: gain * render + offset, as learnt at the first
            step.
        settings: of the renderer.
        foreground: moving areas of the photographs.
        nodes: control nodes of the moving Gaussians; None: neither nodes nor bodies are used.
        neighbours: of the moving Gaussians, among those born in the same step, at that step.
        still_footprints: of the static Gaussians, in each camera.
        pixel_size: length that a pixel of the median camera spans at the moving Gaussians, scene units.
        means, quats: for each completed step, [m, 3] and [m, 4] of the Gaussians moving at it.
        birth, death: [m] int64 first step at which each exists, and first step at which it no longer does.
        still_death: [n - m] int64 death of the static Gaussians.
        bodies: of the moving Gaussians, each set of them at the step of its birth.
        absent, still_absent: [m] and [n - m] int32 after the last step, as in ``StepResult``.
        missing: after the last step, as in ``StepResult``.
    """

    config: TrackConfig
    cameras: tuple[RigCamera, ...]
    gaussians: Gaussians
    ids: Tensor
    gains: Tensor
    offsets: Tensor
    settings: RasterSettings
    foreground: Foreground
    nodes: Nodes | None
    neighbours: Neighbours
    still_footprints: tuple[Footprints, ...]
    pixel_size: float
    means: list[Tensor]
    quats: list[Tensor]
    birth: Tensor = field(init=False)
    death: Tensor = field(init=False)
    still_death: Tensor = field(init=False)
    bodies: Bodies | None = field(init=False)
    absent: Tensor = field(init=False)
    still_absent: Tensor = field(init=False)
    missing: int = 0

    def __post_init__(self) -> None:
        self.moving_gaussians, self.still_gaussians = split_moving(self.gaussians, self.ids)
        # A single moving Gaussian has no neighbours, and the mean distance is 0.
        self.strain = EdgeStrain.none(self.neighbours.weights)
        self.spacing = float(self.neighbours.distances.mean()) or self.pixel_size
        moving, still = len(self.moving_gaussians), len(self.still_gaussians)
        self.birth, self.death = torch.zeros(moving, dtype=torch.int64), torch.full((moving,), NEVER)
        self.still_death = torch.full((still,), NEVER)
        self.absent, self.still_absent = (torch.zeros(count, dtype=torch.int32) for count in (moving, still))
        self.bodies = None
        if self.nodes is not None:
            opacities = self.moving_gaussians.opacities
            self.bodies = find_bodies(self.means[0], opacities, self.neighbours)
        self.doubtful = torch.zeros(still, dtype=torch.bool)
        if self.config.births:
            places = self.still_gaussians.means.double().numpy()
            self.doubtful = torch.from_numpy(move_by_vote(places, self.foreground.changing_at(0), _DOUBTFUL))

    @property
    def distance(self) -> float:
        """Median distance of the Gaussians from the cameras, scene units."""
        assert self.settings.near is not None
        return self.settings.near / _NEAR_SHARE

    @property
    def step(self) -> int:
        """Number of completed steps."""
        return len(self.means)

    def add(self, result: StepResult) -> None:
        """Append the result of the next step."""
        self.means.append(result.poses.means)
        self.quats.append(result.poses.quats)
        self.absent, self.still_absent, self.missing = result.absent, result.still_absent, result.missing
        self._end()
        if result.born is not None:
            self._add_born(result.born)
        self.strain = strained(self.strain, self.means[-1], self.neighbours.rows, self.neighbours.distances)

    def _end(self) -> None:
        """End Gaussians that have been absent for long enough, from the first absent step on."""
        since = self.step - LASTING
        ends, still_ends = (
            (absent >= LASTING) & (death == NEVER)
            for absent, death in ((self.absent, self.death), (self.still_absent, self.still_death))
        )
        self.death = torch.where(ends, torch.maximum(self.birth + 1, torch.tensor(since)), self.death)
        self.still_death = torch.where(still_ends, since, self.still_death)
        self.moving_gaussians = _without(self.moving_gaussians, ends)
        self.still_gaussians = _without(self.still_gaussians, still_ends)

    def _add_born(self, born: Gaussians) -> None:
        """Add Gaussians that exist from this step on, with neighbours and nodes among themselves."""
        old, count = len(self.ids), len(born)
        self.ids = torch.cat([self.ids, len(self.gaussians) + torch.arange(count)])
        self.gaussians, self.moving_gaussians = (
            concatenated(before, born) for before in (self.gaussians, self.moving_gaussians)
        )
        self.means[-1] = torch.cat([self.means[-1], born.means])
        self.quats[-1] = torch.cat([self.quats[-1], normalised(born.quats)])
        self.birth = torch.cat([self.birth, torch.full((count,), self.step - 1)])
        self.death = torch.cat([self.death, torch.full((count,), NEVER)])
        self.absent = torch.cat([self.absent, torch.zeros(count, dtype=torch.int32)])
        near = near_neighbours(born.means, self.config.neighbours)
        if self.bodies is not None:
            self.bodies = self.bodies.followed_by(find_bodies(born.means, born.opacities, near))
        near = near._replace(rows=torch.where(near.rows >= 0, near.rows + old, near.rows))
        self.neighbours = Neighbours(*map(torch.cat, zip(self.neighbours, near, strict=True)))
        strain = EdgeStrain.none(near.weights)
        self.strain = EdgeStrain(*map(torch.cat, zip(self.strain, strain, strict=True)))
        if self.nodes is not None:
            share = -(-self.config.nodes * count // old)
            self.nodes = self.nodes.followed_by(place_nodes(born.means, share), old)

    @property
    def poses(self) -> MovingPoses:
        """The poses of the last step."""
        return MovingPoses(self.means[-1], self.quats[-1])

    @property
    def edge_weights(self) -> Tensor:
        """[m, k] weights of the neighbours in the priors of the next step."""
        weights = self.neighbours.weights
        return softened(weights, self.strain) if self.config.soften_edges else weights

    def scene(self, poses: MovingPoses) -> Gaussians:
        """All Gaussians, the static ones before the moving ones at given poses."""
        return concatenated(self.still_gaussians, self.moved(poses))

    def moved(self, poses: MovingPoses) -> Gaussians:
        """The moving Gaussians at given poses."""
        return replace(self.moving_gaussians, means=poses.means, quats=poses.quats)

    def exposed(self, image: Tensor, number: int) -> Tensor:
        """A render [h, w, 3] in the colours of a training camera."""
        return image * self.gains[number] + self.offsets[number]


def start(
    cameras: tuple[RigCamera, ...],
    gaussians: Gaussians,
    ids: Tensor,
    config: TrackConfig,
    foreground: Foreground,
    *,
    gains: Tensor,
    offsets: Tensor,
) -> TrackState:
    """The state after the first step.

    Args:
        cameras: the training cameras.
        gaussians: n, trained on the first step.
        ids: [m] int64 ascending rows of the moving ones.
        config: how to track.
        foreground: moving areas of the photographs.
        gains, offsets: [c, 3] colours of the cameras.
    """
    moving, still = split_moving(gaussians, ids)
    settings = default_settings(gaussians, cameras)
    return TrackState(
        config,
        cameras,
        gaussians,
        ids,
        gains,
        offsets,
        settings,
        foreground,
        place_nodes(moving.means, config.nodes) if config.nodes else None,
        near_neighbours(moving.means, config.neighbours),
        tuple(footprints(still, camera.camera, settings) for camera in cameras),
        _pixel_size(moving, cameras),
        [moving.means.clone()],
        [normalised(moving.quats)],
    )


def concatenated(first: Gaussians, second: Gaussians) -> Gaussians:
    """Two sets of Gaussians, concatenated."""
    others = second.tensors()
    return Gaussians(**{name: torch.cat([one, others[name]]) for name, one in first.tensors().items()})


def _without(gaussians: Gaussians, rows: Tensor) -> Gaussians:
    """The Gaussians with some made invisible."""
    if not rows.any():
        return gaussians
    return replace(gaussians, logit_opacities=torch.where(rows, INVISIBLE, gaussians.logit_opacities))


def split_moving(gaussians: Gaussians, ids: Tensor) -> tuple[Gaussians, Gaussians]:
    """The Gaussians at given rows, and all others."""
    moves = torch.zeros(len(gaussians), dtype=torch.bool)
    moves[ids] = True
    return gaussians.select(moves), gaussians.select(~moves)


def _distances(gaussians: Gaussians, cameras: tuple[RigCamera, ...]) -> Tensor:
    """[c] median distance of the Gaussians from each camera."""
    centres = [camera.camera.centre_world.to(gaussians.means) for camera in cameras]
    return torch.stack([(gaussians.means - centre).norm(dim=1).median() for centre in centres])


def default_settings(gaussians: Gaussians, cameras: tuple[RigCamera, ...]) -> RasterSettings:
    """The raster settings of a run, with one near plane for all images.

    Cameras of a rig see each other; the near plane hides the housing of a camera in its own images.
    """
    near = _NEAR_SHARE * float(_distances(gaussians, cameras).median())
    return RasterSettings(depth=False, near=near)


def _pixel_size(moving: Gaussians, cameras: tuple[RigCamera, ...]) -> float:
    focal_px = torch.tensor([min(camera.camera.focal_px) for camera in cameras])
    return float((_distances(moving, cameras) / focal_px).median())
