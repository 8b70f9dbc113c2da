"""Candidate views without a photograph: training cameras moved sideways, up, down, nearer and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.envelope.sightings import representatives
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import PINHOLE

# Longest side of the small images by which views are compared.
_SIDE_PX = 96
# How far a camera is moved, as shares of the distance of the point it looks at.
SHIFTS = (0.15, 0.3, 0.5)
_MOVES = {
    "to the left": (-1.0, 0.0, 0.0),
    "to the right": (1.0, 0.0, 0.0),
    "up": (0.0, -1.0, 0.0),
    "down": (0.0, 1.0, 0.0),
    "back": (0.0, 0.0, -1.0),
    "nearer": (0.0, 0.0, 1.0),
}


@dataclass(frozen=True)
class Candidate:
    """A view beside a training view.

    Attributes:
        camera: a small pinhole that looks at the same point.
        beside: row of the training view.
        move: in words, one of "to the left", "to the right", "up", "down", "back", "nearer".
        share: length of the move, as a share of the distance of the point that the training view looks at.
        distance: of that point from the candidate, scene units.
    """

    camera: Camera
    beside: int
    move: str
    share: float
    distance: float


def low_resolution(camera: Camera) -> Camera:
    """A low-resolution pinhole with the pose and the field of view of a camera, in float64."""
    scale = _SIDE_PX / max(camera.size_px)
    width, height = (max(8, round(side * scale)) for side in camera.size_px)
    shrunk = camera.resized(width, height)
    return Camera(
        shrunk.camera_from_world.double(), shrunk.focal_px, shrunk.centre_px, (width, height), PINHOLE
    )


def beside(cameras: Sequence[Camera], depths: Sequence[float], most: int) -> list[Candidate]:
    """Candidates beside representative training cameras.

    Args:
        cameras: of the training views.
        depths: distance of the point each looks at, scene units; cameras without a finite one are skipped.
        most: the largest number of training cameras used.
    """
    centres = torch.stack([camera.centre_world.double() for camera in cameras])
    _, places = representatives(centres, most)
    rows = sorted({int((centres - place).norm(dim=1).argmin()) for place in places})
    found = []
    for row in rows:
        depth = depths[row]
        if not 0 < depth < float("inf"):
            continue
        for share in SHIFTS:
            for words, direction in _MOVES.items():
                shift = share * depth * torch.tensor(direction, dtype=torch.float64)
                camera, distance = _moved(low_resolution(cameras[row]), shift, depth)
                found.append(Candidate(camera, row, words, share, distance))
    return found


def _moved(camera: Camera, shift: Tensor, depth: float) -> tuple[Camera, float]:
    """A camera shifted in its own frame and turned to the point at ``depth`` on its axis; the new depth."""
    ahead = torch.tensor([0.0, 0.0, depth], dtype=torch.float64) - shift
    z = ahead / ahead.norm()
    x = torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), z)
    x = x / x.norm()
    new_from_old = torch.stack([x, torch.linalg.cross(z, x), z])
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = new_from_old
    pose[:3, 3] = -new_from_old @ shift
    pose = pose @ camera.camera_from_world
    moved = Camera(pose, camera.focal_px, camera.centre_px, camera.size_px, PINHOLE)
    return moved, float(ahead.norm())
