"""The room: walls, floor, window, table, cloth, and what hangs on the walls.

The table top is z = 0, its front edge y = -0.42. The back wall is y = 0.85; the room is open
towards -y, behind the cameras.
"""

from __future__ import annotations

import numpy as np
from shapes import Mesh, box, draped_cloth, grid, merge, quad, revolve, smooth_profile

BACK, SIDE, FLOOR, HIGH, FRONT = 0.85, 2.2, -0.75, 2.6, -3.2


def shell() -> list:
    """Walls and floor."""
    depth = BACK - FRONT
    return [
        ("wall_back", quad((-SIDE, BACK, HIGH), (2 * SIDE, 0, 0), (0, 0, FLOOR - HIGH))),
        ("wall_left", quad((-SIDE, FRONT, HIGH), (0, depth, 0), (0, 0, FLOOR - HIGH))),
        ("wall_right", quad((SIDE, BACK, HIGH), (0, -depth, 0), (0, 0, FLOOR - HIGH))),
        ("floor", quad((-SIDE, BACK, FLOOR), (2 * SIDE, 0, 0), (0, -depth, 0))),
        (
            "wood_dark",
            merge(
                [
                    box((2 * SIDE, 0.02, 0.14), (0, BACK - 0.01, FLOOR + 0.07)),
                    box((0.02, depth, 0.14), (-SIDE + 0.01, BACK - depth / 2, FLOOR + 0.07)),
                    box((0.02, depth, 0.14), (SIDE - 0.01, BACK - depth / 2, FLOOR + 0.07)),
                    box((2 * SIDE, 0.03, 0.05), (0, BACK - 0.015, 0.02)),
                ]
            ),
        ),
    ]


def wainscot() -> list:
    """Painted tiles along the foot of the back wall, up to the rail at table height."""
    height = 0.02 - FLOOR - 0.16
    return [("wall_tiles", quad((-SIDE, BACK - 0.006, -0.005), (2 * SIDE, 0, 0), (0, 0, -height)))]


def table() -> list:
    """A table with a moulded top and turned legs."""
    top = box((1.5, 0.84, 0.032), (0, 0, -0.016))
    apron = [box((1.30, 0.02, 0.10), (0, y, -0.082)) for y in (-0.34, 0.34)]
    apron += [box((0.02, 0.68, 0.10), (x, 0, -0.082)) for x in (-0.64, 0.64)]
    leg = smooth_profile(
        [
            (0.034, -0.03),
            (0.034, -0.14),
            (0.020, -0.16),
            (0.038, -0.24),
            (0.030, -0.34),
            (0.018, -0.42),
            (0.026, -0.44),
            (0.018, -0.46),
            (0.026, -0.60),
            (0.018, -0.70),
            (0.030, -0.72),
            (0.028, -0.75),
        ],
        120,
    )
    legs = [revolve(leg, 32).moved((x, y, 0)) for x in (-0.62, 0.62) for y in (-0.32, 0.32)]
    return [("wood", top), ("wood_dark", merge(apron)), ("wood_dark", merge(legs))]


def runner() -> list:
    """The linen that hangs over the front edge."""
    cloth = draped_cloth(length=0.62, on_table=0.40, width=0.72, folds=7, seed=5)
    return [("linen", cloth.moved((0.20, -0.42, 0.0)))]


def hanging(corner, right, height: float, folds: int, depth: float, out, material: str) -> list:
    """A cloth on a rod: gathered at the top, falling in folds. ``right`` is its width vector."""
    right, out = np.asarray(right, float), np.asarray(out, float)
    v, u = np.meshgrid(np.linspace(0, 1, 120), np.linspace(0, 1, 241), indexing="ij")
    phase = 2 * np.pi * folds * (u + 0.012 * np.sin(2 * np.pi * u * 2 + 1))
    swing = np.sin(phase + 0.5 * v) + 0.35 * np.sin(2.1 * phase + 2 * v + 1)
    offset = depth * (0.6 + 0.4 * v) * swing + 1.4 * depth + 0.03
    points = np.asarray(corner, float) + u[..., None] * right + offset[..., None] * out
    points[..., 2] -= v * height - 0.008 * np.cos(phase)
    return [(material, grid(points))]


def framed(material: str, centre, width: float, height: float, right, out) -> list:
    """A picture in a moulded gilt frame on a wall with inward normal ``out``."""
    right, out, centre = (np.asarray(value, float) for value in (right, out, centre))
    up = np.array([0.0, 0.0, 1.0])
    corner = centre - right * width / 2 + up * height / 2 + 0.012 * out
    section = [
        (0.0, 0.012),
        (0.006, 0.022),
        (0.016, 0.020),
        (0.026, 0.036),
        (0.042, 0.040),
        (0.052, 0.030),
        (0.060, 0.0),
    ]
    loops = []
    for grow, lift in section:
        x, z = width / 2 + grow, height / 2 + grow
        corners = [(-x, z), (x, z), (x, -z), (-x, -z), (-x, z)]
        loops.append([centre + right * a + up * b + out * lift for a, b in corners])
    moulding = grid(np.array(loops).transpose(1, 0, 2))
    facets = Mesh(moulding.vertices, moulding.faces, moulding.uv, smooth=False)
    return [(material, quad(corner, right * width, -up * height)), ("gilt", facets)]


def window_panes() -> list[Mesh]:
    """The lit panes in the left wall, high up, two by three, facing the table."""
    panes = []
    for i in range(2):
        for j in range(3):
            y, z = -1.45 + 0.52 * i, 2.30 - 0.42 * j
            panes.append(quad((-SIDE + 0.03, y, z), (0, 0.48, 0), (0, 0, -0.38)))
    return panes
