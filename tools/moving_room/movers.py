"""What moves: five rigid things and a bar that bends. Metres and seconds; the floor is z = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from patterns import marbled
from shapes import Mesh, ball, box, grid, revolve, rotation_about, smooth_profile
from still import BAR_FOOT, HALF, PLINTH, atlas

STEPS, RATE_HZ = 36, 30
LENGTH_S = STEPS / RATE_HZ
GRAVITY = 9.81


@dataclass(frozen=True)
class Mover:
    """A thing that moves.

    Attributes:
        name: in the file of tracks.
        texture: [h, w, 3] sRGB in [0, 1].
        mesh: at rest, in the frame of the thing.
        pose: world_from_thing [4, 4] at a time.
        bend: where the vertices [n, 3] are at a time, in the frame of the thing; None for a rigid one.
    """

    name: str
    texture: np.ndarray
    mesh: Mesh
    pose: Callable[[float], np.ndarray]
    bend: Callable[[np.ndarray, float], np.ndarray] | None = None

    def at(self, time: float) -> Mesh:
        """The mesh at ``time``, world frame."""
        vertices = self.mesh.vertices if self.bend is None else self.bend(self.mesh.vertices, time)
        pose = self.pose(time)
        return Mesh(vertices @ pose[:3, :3].T + pose[:3, 3], self.mesh.faces, self.mesh.uv, self.mesh.smooth)


def _pose(position, axis=(0, 0, 1), angle_rad: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation_about(axis, angle_rad), position
    return pose


def _ball_pose(time: float, radius: float = 0.17) -> np.ndarray:
    """Thrown across the room; it bounces, and keeps 0.8 of its speed each time."""
    height, speed, left = 0.55 - radius, 1.0, time
    while (flight := (speed + np.sqrt(speed**2 + 2 * GRAVITY * height)) / GRAVITY) < left:
        height, speed, left = 0.0, 0.8 * (GRAVITY * flight - speed), left - flight
    z = radius + height + speed * left - 0.5 * GRAVITY * left**2
    return _pose((-1.3 + 2.05 * time, -0.95 + 0.12 * time, z), (-0.25, 1, 0.2), 0.8 + 6.5 * time)


def _top_pose(time: float) -> np.ndarray:
    """Turns in place on the plinth, 200 degrees a second."""
    x, y, height = PLINTH
    return _pose((x, y, height + 0.17), angle_rad=0.3 + np.radians(200) * time)


def _crate_pose(time: float) -> np.ndarray:
    """Slides half a metre and turns by 50 degrees, slowly, and comes to rest."""
    along = 0.5 - 0.5 * np.cos(np.pi * min(time / 1.2, 1.0))
    return _pose((-0.95 + 0.5 * along, -0.42 + 0.08 * along, 0.15), angle_rad=0.2 + np.radians(50) * along)


def _late_pose(time: float) -> np.ndarray:
    """Comes in through the flap at x = ``HALF`` at a third of the time, slows down and turns off."""
    since = max(time - 0.30, 0.0)
    along = 2.4 * (1 - np.exp(-since / 0.75)) / (1 - np.exp(-1 / 0.75))
    turned = np.radians(70) * np.clip(since - 0.35, 0, None) ** 1.5
    return _pose((HALF + 0.75 - along, 0.30 - 0.35 * turned, 0.17), angle_rad=turned)


def _leaving_pose(time: float) -> np.ndarray:
    """Glides faster and faster out through the flap at x = -``HALF``, before three quarters of the time."""
    share = time / LENGTH_S
    return _pose((-0.35 - 2.0 * share - 1.1 * share**2, 0.30, 0.0), angle_rad=1.2 * time)


def _bar_pose(time: float) -> np.ndarray:
    """Where its foot stands."""
    return _pose(BAR_FOOT)


def _bar() -> Mesh:
    """A board that stands on its end: 0.95 high, 0.24 wide (y), 0.04 thick (x)."""
    rows = np.linspace(0.95, 0, 49)[:, None]
    loop = np.array([(0.02, -0.12), (0.02, 0.12), (-0.02, 0.12), (-0.02, -0.12), (0.02, -0.12)])
    shape = (len(rows), len(loop))
    points = np.stack([np.broadcast_to(values, shape) for values in (*loop.T, rows)], axis=-1)
    side = grid(points)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(loop, axis=0), axis=1))])
    side.uv[:, 0] = np.tile(along / along[-1], len(rows))
    top = points[0, :4]
    cap = grid(np.array([[top[3], top[2]], [top[0], top[1]]]))
    faces = np.concatenate([side.faces, cap.faces + len(side.vertices)])
    vertices = np.concatenate([side.vertices, cap.vertices])
    return Mesh(vertices, faces, np.concatenate([side.uv, 0.1 * cap.uv]), smooth=False)


def _bend_bar(rest: np.ndarray, time: float) -> np.ndarray:
    """Curve the board evenly in x and twist it towards the top; its middle line keeps its length."""
    swing = 0.85 * np.sin(2 * np.pi * 0.75 * time + 0.4)
    twist = 0.5 * np.sin(2 * np.pi * 0.5 * time) * rest[:, 2] / 0.95
    x = rest[:, 0] * np.cos(twist) - rest[:, 1] * np.sin(twist)
    y = rest[:, 0] * np.sin(twist) + rest[:, 1] * np.cos(twist)
    curvature = swing / 0.95
    angle = curvature * rest[:, 2]
    middle_x = rest[:, 2] * np.sin(angle / 2) * np.sinc(angle / 2 / np.pi)
    middle_z = rest[:, 2] * np.sinc(angle / np.pi)
    return np.stack([middle_x + x * np.cos(angle), y, middle_z - x * np.sin(angle)], -1)


def _loaf() -> Mesh:
    """A block with round edges, 0.56 long (x), 0.34 wide, 0.34 high."""
    tilt, turn = np.meshgrid(np.linspace(0, np.pi, 33), np.linspace(0, 2 * np.pi, 65), indexing="ij")
    direction = np.stack([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)], -1)
    reach = (np.abs(direction) ** 5).sum(-1, keepdims=True) ** (-1 / 5)
    return grid(direction * reach * (0.28, 0.17, 0.17))


def _vase() -> Mesh:
    knots = [(0.0, 0.46), (0.09, 0.46), (0.07, 0.40), (0.075, 0.36), (0.15, 0.22), (0.14, 0.10), (0.10, 0.01)]
    return revolve(smooth_profile(knots, 64), 64)


def movers(seed: int) -> list[Mover]:
    """All of them, in the order of their numbers in the file of tracks (from 1)."""
    rng = np.random.default_rng(seed + 1)
    cream, black = (0.92, 0.88, 0.74), (0.14, 0.13, 0.15)
    red, orange, yellow = (0.75, 0.14, 0.12), (0.88, 0.45, 0.12), (0.90, 0.76, 0.20)
    green, teal, blue = (0.18, 0.45, 0.22), (0.16, 0.52, 0.55), (0.14, 0.24, 0.60)
    purple, pink = (0.42, 0.20, 0.50), (0.88, 0.50, 0.58)
    crate, top = atlas(box((0.44, 0.34, 0.30))), atlas(box((0.34, 0.34, 0.34)))
    return [
        Mover("ball", marbled(rng, [red, cream, blue, yellow], (4, 6)), ball(0.17, 40), _ball_pose),
        Mover("top", marbled(rng, [teal, cream, purple, orange], (5, 7)), top, _top_pose),
        Mover("crate", marbled(rng, [green, yellow, black, cream], (5, 7)), crate, _crate_pose),
        Mover("bar", marbled(rng, [orange, blue, cream, black], (8, 5)), _bar(), _bar_pose, _bend_bar),
        Mover("late", marbled(rng, [pink, purple, cream, green], (4, 7)), _loaf(), _late_pose),
        Mover("leaving", marbled(rng, [blue, cream, teal, red], (5, 7)), _vase(), _leaving_pose),
    ]
