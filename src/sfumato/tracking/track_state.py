"""The full state of a tracked run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.capture.multiview import RigCamera
from sfumato.maths.neighbours import Neighbours, near_neighbours
from sfumato.maths.quaternions import normalised
from sfumato.render.settings import RasterSettings
from sfumato.render.visibility import Footprints, footprints
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.edges import EdgeStrain, softened, strained
from sfumato.tracking.foreground import Foreground
from sfumato.tracking.nodes import Nodes, place_nodes
from sfumato.tracking.track_config import TrackConfig

# Near plane, as a share of the median distance of the Gaussians from the cameras.
_NEAR_SHARE = 0.1


@dataclass(frozen=True)
class MovingPoses:
    """Of m moving Gaussians.

    Attributes:
        means: [m, 3] world frame, scene units.
        quats: [m, 4] world_from_local as (w, x, y, z), of length one.
    """

    means: Tensor
    quats: Tensor


@dataclass
class TrackState:
    """A run between two steps in time; m Gaussians of n move.

    Attributes:
        config: how to track.
        cameras: the training cameras.
        gaussians: all n at the first step.
        ids: [m] int64 rows of ``gaussians`` that move.
        gains, offsets: [c, 3] colour of each training camera: gain * render + offset, as learnt at the first
            step.
        settings: of the renderer.
        foreground: what moves in the photographs of the cameras.
        nodes: control nodes of the moving Gaussians; None: they move on their own.
        neighbours: of the moving ones among themselves, at the first step.
        still_footprints: of the Gaussians that stand still, in each camera.
        pixel_size: length that a pixel of the median camera spans at the moving Gaussians, scene units.
        means, quats: for each step done, [m, 3] and [m, 4].
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

    def __post_init__(self) -> None:
        self.moving_gaussians, self.still_gaussians = parted(self.gaussians, self.ids)
        # A Gaussian that moves alone has no neighbours, and no distance of them.
        self.strain = EdgeStrain.none(self.neighbours.weights)
        self.spacing = float(self.neighbours.distances.mean()) or self.pixel_size

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.means)

    def add(self, poses: MovingPoses) -> None:
        """Take in the poses of the next step."""
        self.means.append(poses.means)
        self.quats.append(poses.quats)
        self.strain = strained(self.strain, poses.means, self.neighbours.rows, self.neighbours.distances)

    @property
    def edge_weights(self) -> Tensor:
        """[m, k] of the neighbours, as the priors weigh them in the next step."""
        weights = self.neighbours.weights
        return softened(weights, self.strain) if self.config.soften_edges else weights

    def scene(self, poses: MovingPoses) -> Gaussians:
        """All Gaussians, those that stand still before those that move, at given poses."""
        return joined(self.still_gaussians, self.moving_gaussians, poses)

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
    """A state with the first step done.

    Args:
        cameras: to train on.
        gaussians: n, trained on the first step.
        ids: [m] int64 ascending rows of those that move.
        config: how to track.
        foreground: what moves in the photographs of the cameras.
        gains, offsets: [c, 3] colours of the cameras.
    """
    moving, still = parted(gaussians, ids)
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


def parted(gaussians: Gaussians, ids: Tensor) -> tuple[Gaussians, Gaussians]:
    """The Gaussians of some rows, and the others."""
    moves = torch.zeros(len(gaussians), dtype=torch.bool)
    moves[ids] = True
    return gaussians.select(moves), gaussians.select(~moves)


def joined(still: Gaussians, moving: Gaussians, poses: MovingPoses) -> Gaussians:
    """Gaussians that stand still, and behind them some that move, at given poses."""
    at = {**moving.tensors(), **vars(poses)}
    return Gaussians(**{name: torch.cat([tensor, at[name]]) for name, tensor in still.tensors().items()})


def _distances(gaussians: Gaussians, cameras: tuple[RigCamera, ...]) -> Tensor:
    """[c] median distance of the Gaussians from each camera."""
    centres = [camera.camera.centre_world.to(gaussians.means) for camera in cameras]
    return torch.stack([(gaussians.means - centre).norm(dim=1).median() for centre in centres])


def default_settings(gaussians: Gaussians, cameras: tuple[RigCamera, ...]) -> RasterSettings:
    """One near plane for all pictures.

    Cameras of a rig stand in each other's pictures; the plane hides the housing of a camera from itself.
    """
    near = _NEAR_SHARE * float(_distances(gaussians, cameras).median())
    return RasterSettings(depth=False, near=near)


def _pixel_size(moving: Gaussians, cameras: tuple[RigCamera, ...]) -> float:
    focal_px = torch.tensor([min(camera.camera.focal_px) for camera in cameras])
    return float((_distances(moving, cameras) / focal_px).median())
