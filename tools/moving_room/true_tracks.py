"""Points on all surfaces, where they are at each step, and which camera sees them when."""

from __future__ import annotations

from dataclasses import dataclass

import mitsuba as mi
import numpy as np
from export import project
from movers import RATE_HZ, STEPS, Mover
from rig import HELD_OUT
from shapes import Mesh
from staging import move
from still import HUNG, still_things

from render import View

PER_MOVER, OF_ROOM, CANDIDATES = 70, 120, 6
SLACK = 0.004  # metres by which a surface may lie in front of a point that is still seen


@dataclass(frozen=True)
class Points:
    """Places on a mesh: ``faces`` [n] and their corners' weights [n, 3]."""

    faces: np.ndarray
    weights: np.ndarray

    def on(self, mesh: Mesh, values: np.ndarray) -> np.ndarray:
        """[n, k] what ``values`` [vertices, k] are at the points."""
        return (self.weights[..., None] * values[mesh.faces[self.faces]]).sum(axis=1)


def _scattered(mesh: Mesh, count: int, rng) -> Points:
    """Points evenly over the area of a mesh."""
    corners = mesh.vertices[mesh.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - root, root * (1 - along), root * along], axis=-1)
    return Points(rng.choice(len(area), count, p=area / area.sum()), weights)


def _colours(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """[n, 3] uint8 sRGB under ``uv`` [n, 2]."""
    column, row = np.clip(uv.T * [[texture.shape[1]], [texture.shape[0]]], 0, None).astype(int)
    picked = texture[np.minimum(row, texture.shape[0] - 1), np.minimum(column, texture.shape[1] - 1)]
    return np.round(255 * np.clip(picked, 0, 1)).astype(np.uint8)


def _candidates(movers: list[Mover], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions [t, n, 3], colours [n, 3] and object numbers [n] of more points than are wanted."""
    rng = np.random.default_rng(seed + 2)
    still = still_things(seed)
    areas = np.array([np.ptp(mesh.vertices, axis=0).max() for _, mesh in still])
    positions, colours, numbers = [], [], []
    for (texture, mesh), share in zip(still, areas / areas.sum(), strict=True):
        points = _scattered(mesh, int(np.ceil(share * OF_ROOM * CANDIDATES)), rng)
        positions.append(np.repeat(points.on(mesh, mesh.vertices)[None], STEPS, axis=0))
        colours.append(_colours(texture, points.on(mesh, mesh.uv)))
        numbers.append(np.zeros(len(points.faces), np.uint8))
    for number, mover in enumerate(movers, 1):
        points = _scattered(mover.mesh, PER_MOVER * CANDIDATES, rng)
        at = (mover.at(step / RATE_HZ) for step in range(STEPS))
        positions.append(np.stack([points.on(mesh, mesh.vertices) for mesh in at]))
        colours.append(_colours(mover.texture, points.on(mover.mesh, mover.mesh.uv)))
        numbers.append(np.full(len(points.faces), number, np.uint8))
    return np.concatenate(positions, axis=1), np.concatenate(colours), np.concatenate(numbers)


def _seen(scene, view: View, points: np.ndarray) -> np.ndarray:
    """[n] whether ``points`` [n, 3] are in the picture with nothing before them."""
    pixels, z = project(view, points)
    eye = view.world_from_camera[:3, 3]
    towards = points - eye
    distance = np.linalg.norm(towards, axis=1)
    unit = (towards / distance[:, None]).astype(np.float32)
    ray = mi.Ray3f(mi.Point3f(*eye.tolist()), mi.Vector3f(*unit.T))
    ray.maxt = mi.Float((distance - SLACK).astype(np.float32))
    inside = (z > 0) & np.all((pixels >= 0) & (pixels < view.size_px), axis=1)
    return inside & ~np.array(scene.ray_test(ray), bool)


def _chosen(visible: np.ndarray, present: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Indices of the first points of each object that three cameras see for a quarter of the time or more."""
    often = (visible.sum(axis=0) >= 3).sum(axis=0) >= 0.25 * present.sum(axis=0)
    found = []
    for number in range(numbers.max() + 1):
        fit = np.flatnonzero(often & (numbers == number))
        wanted = OF_ROOM if number == 0 else PER_MOVER
        found.append(fit[np.round(np.linspace(0, len(fit) - 1, min(wanted, len(fit)))).astype(int)])
    return np.concatenate(found)


def _poses(movers: list[Mover]) -> np.ndarray:
    """[t, objects, 4, 4] world_from_object; NaN for what bends."""
    poses = np.tile(np.eye(4), (STEPS, len(movers) + 1, 1, 1))
    for number, mover in enumerate(movers, 1):
        for step in range(STEPS):
            poses[step, number] = mover.pose(step / RATE_HZ) if mover.bend is None else np.nan
    return poses


def true_tracks(scene, movers: list[Mover], views: dict[str, View], seed: int) -> dict[str, np.ndarray]:
    """The arrays of ``tracks.npz``; see the README of the sequence."""
    positions, colours, numbers = _candidates(movers, seed)
    present = (np.abs(positions[..., 0]) < HUNG) | (numbers == 0)
    visible = np.zeros((len(views), *present.shape), bool)
    for step in range(STEPS):
        move(scene, movers, step / RATE_HZ)
        for index, view in enumerate(views.values()):
            visible[index, step] = _seen(scene, view, positions[step])
    visible &= present
    training = np.array([name not in HELD_OUT for name in views])
    kept = _chosen(visible[training], present, numbers)
    positions[~present] = np.nan
    return {
        "times": np.arange(STEPS) / RATE_HZ,
        "points": positions[:, kept].astype(np.float32),
        "visible": visible[..., kept],
        "rgb": colours[kept],
        "object": numbers[kept],
        "object_names": np.array(["room", *(mover.name for mover in movers)]),
        "object_poses": _poses(movers),
        "cameras": np.array(list(views)),
        "test_cameras": np.array(HELD_OUT),
        "unit": np.array("m"),
    }
