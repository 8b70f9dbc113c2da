"""The full state of a tracked run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfumato.capture.multiview import MultiViewVideo, RigCamera
from sfumato.maths.neighbours import near_neighbours
from sfumato.maths.quaternions import normalised
from sfumato.render.settings import RasterSettings
from sfumato.render.visibility import Footprints, footprints
from sfumato.scene.gaussians import Gaussians
from sfumato.tracking.nodes import Nodes, place_nodes
from sfumato.tracking.track_config import TrackConfig

# Near plane, as a share of the median distance of the Gaussians from the cameras.
_NEAR_SHARE = 0.1


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
        foreground: what moves in the photograph of a training camera at a step, [h, w] bool, or None.
        nodes: control nodes of the moving Gaussians.
        neighbours: [m, k] int32 rows among the moving ones.
        edge_weights, rest_distances: [m, k] of the neighbours.
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
    foreground: Callable[[int, int], Tensor | None]
    nodes: Nodes
    neighbours: Tensor
    edge_weights: Tensor
    rest_distances: Tensor
    still_footprints: tuple[Footprints, ...]
    pixel_size: float
    means: list[Tensor] = field(default_factory=list)
    quats: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        moves = torch.zeros(len(self.gaussians), dtype=torch.bool)
        moves[self.ids] = True
        self.moving_gaussians = self.gaussians.select(moves)
        self.still_gaussians = self.gaussians.select(~moves)
        self.spacing = float(self.rest_distances.mean()) if self.rest_distances.numel() else self.pixel_size

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self.means)

    def exposed(self, image: Tensor, number: int) -> Tensor:
        """A render [h, w, 3] in the colours of a training camera."""
        return image * self.gains[number] + self.offsets[number]


def start(
    video: MultiViewVideo,
    gaussians: Gaussians,
    ids: Tensor,
    config: TrackConfig,
    *,
    gains: Tensor,
    offsets: Tensor,
    foreground: Callable[[int, int], Tensor | None],
) -> TrackState:
    """A state with the first step done.

    Args:
        video: to track.
        gaussians: n, trained on the first step.
        ids: [m] int64 ascending rows of those that move.
        config: how to track.
        gains, offsets: [c, 3] colours of the training cameras.
        foreground: of a training camera's number and a step.
    """
    cameras = video.train_cameras
    moves = torch.zeros(len(gaussians), dtype=torch.bool)
    moves[ids] = True
    moving, still = gaussians.select(moves), gaussians.select(~moves)
    settings = default_settings(gaussians, cameras)
    rows, weights, distances = near_neighbours(moving.means, config.neighbours)
    state = TrackState(
        config, cameras, gaussians, ids, gains, offsets, settings, foreground,
        place_nodes(moving.means, max(config.nodes, 1)), rows, weights, distances,
        tuple(footprints(still, camera.camera, settings) for camera in cameras),
        _pixel_size(moving, cameras),
    )  # fmt: skip
    state.means.append(moving.means.clone())
    state.quats.append(normalised(moving.quats))
    return state


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
