"""Where the pictures are taken from."""

from __future__ import annotations

import numpy as np

from render import View
from scene import CENTRE

SIZE_PX = (480, 360)
FOCAL_PX = 470.0


def look_at(eye, target, roll_rad: float = 0.0) -> np.ndarray:
    """[4, 4] world_from_camera (x right, y up, looking along -z) at ``eye`` towards ``target``."""
    eye, target = np.asarray(eye, float), np.asarray(target, float)
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    right, up = (
        np.cos(roll_rad) * right + np.sin(roll_rad) * up,
        np.cos(roll_rad) * up - np.sin(roll_rad) * right,
    )
    pose = np.eye(4)
    pose[:3] = np.stack([right, up, back, eye], 1)
    return pose


def orbit_view(
    azimuth_deg: float, height: float, radius: float, target=CENTRE, roll_rad: float = 0.0
) -> View:
    """A view from ``azimuth_deg`` round the table (0 is the front, positive to the right)."""
    angle = np.radians(azimuth_deg)
    eye = np.array([radius * np.sin(angle), -radius * np.cos(angle), height])
    return View(look_at(eye, target, roll_rad), FOCAL_PX, SIZE_PX)


def hand_held_path(count: int, seed: int = 1) -> list[View]:
    """``count`` views along three arcs, left to right and back, with a hand's unsteadiness."""
    rng = np.random.default_rng(seed)
    arcs = [(0.30, 1.30, 78.0), (0.58, 1.22, 78.0), (0.88, 1.10, 70.0)]
    shares = np.array_split(np.arange(count), len(arcs))
    views = []
    for number, ((height, radius, reach), share) in enumerate(zip(arcs, shares, strict=True)):
        along = np.linspace(-reach, reach, len(share)) * (1 if number % 2 == 0 else -1)
        for azimuth in along:
            sway = rng.normal(size=6)
            target = CENTRE + 0.025 * sway[:3]
            views.append(
                orbit_view(
                    azimuth + 0.8 * sway[3],
                    height + 0.02 * sway[4],
                    radius + 0.035 * sway[5],
                    target,
                    0.015 * rng.normal(),
                )
            )
    return views


def held_out_views() -> list[View]:
    """Eight views off the path: between the arcs, closer, farther, lower and higher."""
    places = [
        (-62, 0.44, 1.25),
        (-34, 0.74, 1.00),
        (-14, 0.20, 1.45),
        (4, 0.45, 0.90),
        (22, 1.05, 1.00),
        (38, 0.42, 1.50),
        (52, 0.70, 1.08),
        (70, 0.44, 1.28),
    ]
    return [
        orbit_view(*place, CENTRE + np.array([0.01, 0.0, 0.005]) * (-1) ** k)
        for k, place in enumerate(places)
    ]
