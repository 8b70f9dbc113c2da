"""Made things on the table. Each function returns parts: (material name, mesh) in world position."""

from __future__ import annotations

import numpy as np
from shapes import (
    ball,
    box,
    grid,
    merge,
    revolve,
    ring,
    rotation_about,
    rotation_to,
    smooth_profile,
    tube,
)

UP = (0, 0, 1)
# (radius, height) of the turned candlestick, top first.
STICK = [
    (0.004, 0.176),
    (0.013, 0.176),
    (0.020, 0.178),
    (0.030, 0.174),
    (0.030, 0.170),
    (0.012, 0.160),
    (0.015, 0.148),
    (0.008, 0.136),
    (0.007, 0.115),
    (0.014, 0.104),
    (0.007, 0.092),
    (0.006, 0.064),
    (0.012, 0.050),
    (0.008, 0.040),
    (0.022, 0.028),
    (0.050, 0.020),
    (0.056, 0.016),
    (0.054, 0.010),
    (0.058, 0.005),
    (0.058, 0.0),
]


def vase(at) -> list:
    """A baluster vase with a foot and a flared lip, open at the top."""
    outside = [
        (0.040, 0.300),
        (0.047, 0.303),
        (0.049, 0.298),
        (0.034, 0.268),
        (0.031, 0.245),
        (0.045, 0.215),
        (0.074, 0.175),
        (0.086, 0.135),
        (0.080, 0.092),
        (0.058, 0.050),
        (0.043, 0.026),
        (0.047, 0.012),
        (0.052, 0.0),
    ]
    inside = smooth_profile(
        [(0.002, 0.19), (0.027, 0.22), (0.028, 0.250), (0.034, 0.280), (0.040, 0.300)], 24
    )
    turn = rotation_about(UP, 0.5)
    return [
        ("delft", revolve(smooth_profile(outside, 128)).moved(at, turn)),
        ("clay", revolve(inside).moved(at)),
    ]


def brass_bowl(at) -> list:
    """A hammered bowl on a foot with a rolled rim."""
    knots = [
        (0.128, 0.094),
        (0.138, 0.100),
        (0.145, 0.099),
        (0.146, 0.094),
        (0.139, 0.084),
        (0.126, 0.058),
        (0.098, 0.030),
        (0.060, 0.018),
        (0.046, 0.012),
        (0.056, 0.004),
        (0.060, 0.0),
    ]
    inner = smooth_profile(
        [(0.001, 0.021), (0.06, 0.023), (0.095, 0.035), (0.121, 0.062), (0.128, 0.094)], 40
    )

    def hammered(angle, height):
        row = height / 0.0075
        dents = np.cos(44 * angle + np.pi * np.floor(row)) * np.sin(np.pi * row)
        return 1 - 0.0035 * dents * (height > 0.03) * (height < 0.086)

    return [("brass", merge([revolve(smooth_profile(knots, 160), 288, hammered), revolve(inner)]).moved(at))]


def candlestick(at) -> list:
    """A turned brass stick, a candle with run wax, a bent wick."""
    candle = smooth_profile(
        [(0.001, 0.292), (0.007, 0.291), (0.0105, 0.298), (0.0115, 0.294), (0.0112, 0.24), (0.0118, 0.176)],
        60,
    )

    def run_wax(angle, height):
        drip = np.exp(-(((height - 0.262) / 0.035) ** 2)) * np.exp(-(((angle - 2.1) / 0.35) ** 2))
        other = np.exp(-(((height - 0.226) / 0.05) ** 2)) * np.exp(-(((angle - 4.6) / 0.28) ** 2))
        return 1 + 0.28 * drip + 0.35 * other

    t = np.linspace(0, 1, 12)[:, None]
    wick = np.concatenate([0.006 * t**2, 0 * t, 0.290 + 0.020 * t], 1)
    return [
        ("brass", revolve(smooth_profile(STICK, 200), 72).moved(at)),
        ("wax", revolve(candle, 72, run_wax).moved(at)),
        ("soot", tube(wick, 0.0011).moved(at)),
    ]


def armillary_sphere(at) -> list:
    """Nested thin brass hoops round a small globe, on a turned foot."""
    x, y, z = at
    centre = np.array([x, y, z + 0.225])
    tilt = rotation_about((0.3, 1, 0), 0.41)
    hoops = [
        (0.118, 0.0035, 0.007, rotation_to((1, 0.25, 0))),
        (0.118, 0.0035, 0.012, np.eye(3)),
        (0.106, 0.003, 0.006, tilt),
        (0.106, 0.003, 0.005, tilt @ rotation_to((1, 0, 0))),
        (0.106, 0.003, 0.005, tilt @ rotation_to((0, 1, 0))),
        (0.1065, 0.003, 0.014, tilt @ rotation_about((1, 0, 0), 0.41)),
    ]
    parts = [ring(radius, thick, wide).moved(centre, turn) for radius, thick, wide, turn in hoops]
    for height in (0.055, -0.055):
        radius = np.sqrt(0.106**2 - height**2)
        parts.append(ring(radius, 0.0025, 0.004).moved(centre + tilt @ [0, 0, height], tilt))
    axis = tilt[:, 2]
    parts.append(tube(np.array([centre - 0.122 * axis, centre, centre + 0.122 * axis]), 0.0016))
    foot = [
        (0.002, 0.108),
        (0.008, 0.104),
        (0.006, 0.092),
        (0.013, 0.080),
        (0.006, 0.066),
        (0.008, 0.036),
        (0.018, 0.026),
        (0.046, 0.016),
        (0.052, 0.010),
        (0.050, 0.005),
        (0.055, 0.0),
    ]
    parts.append(revolve(smooth_profile(foot, 140), 64).moved(at))
    return [("brass", merge(parts)), ("globe", ball(0.024).moved(centre, tilt))]


def book(at, size, angle: float, cover: str, back: str) -> list:
    """A closed book lying flat, its spine towards -y; ``size`` is (length, depth, thickness)."""
    length, depth, thick = size
    board = 0.004
    turn, at = rotation_about(UP, angle), np.asarray(at, float)
    boards = merge(
        [
            box((length, depth, board), (0, 0, thick - board / 2)),
            box((length, depth, board), (0, 0, board / 2)),
        ]
    )
    block = box((length - 0.012, depth - 0.010, thick - 2 * board), (0, -0.001, thick / 2))
    arc = np.linspace(np.pi / 2, -np.pi / 2, 17)[:, None]
    run = np.linspace(-length / 2, length / 2, 49)[None]
    bands = 1 + 0.0018 / (thick / 2) * sum(
        np.exp(-(((run / length - c) / 0.010) ** 2)) for c in (-0.33, 0.33, -0.45, 0.45)
    )
    y = -depth / 2 + 0.002 - 0.010 * np.cos(arc) * bands
    z = thick / 2 + thick / 2 * np.sin(arc) * bands
    rounded = grid(np.stack([run + 0 * arc, y + 0 * run, z + 0 * run], -1))
    return [
        (name, mesh.moved(at, turn))
        for name, mesh in [(cover, boards), ("page_edges", block), (back, rounded)]
    ]


def notebook(at, angle: float) -> list:
    """An open notebook whose two pages arch from the fold."""
    turn, at = rotation_about(UP, angle), np.asarray(at, float)
    t = np.linspace(0, 1, 41)
    arch = 0.022 * (1 - np.exp(-t * 14)) * (1 - t) ** 0.8 + 0.004 + 0.006 * (1 - t)
    lift = 0.010 * t**6
    y = np.linspace(0.11, -0.11, 30)[:, None]
    parts = []
    for side, name in [(1, "page_right"), (-1, "page_left")]:
        x = side * 0.155 * t
        curl = lift * (1.0 if side > 0 else 0.3) * (1 - 1.5 * (y - 0.11)) + 0 * y
        surface = np.stack([x + 0 * y, y + 0 * x, arch + curl], -1)[:, ::side]
        parts.append((name, grid(surface)))
        front = np.stack([np.stack([x, 0 * t - 0.11, arch]), np.stack([x, 0 * t - 0.11, 0 * t + 0.003])])
        parts.append(("page_edges", grid(front.transpose(0, 2, 1)[:, ::side])))
    parts.append(("leather_brown", box((0.325, 0.232, 0.003), (0, 0, 0.0015))))
    return [(name, mesh.moved(at, turn)) for name, mesh in parts]


def knife(at, angle: float) -> list:
    """A table knife with a bone handle and a steel blade, lying flat."""
    turn = rotation_about(UP, angle)
    t = np.linspace(0, 1, 40)
    lower, upper = -0.009 * np.ones_like(t) + 0.012 * t**6, 0.009 - 0.010 * t**3
    blade = np.stack(
        [np.stack([0.13 * t, y, 0.0022 + 0 * t], -1) for y in (upper, (upper + lower) / 2, lower)]
    )
    blade[1, :, 2] += 0.0012
    handle = np.stack([-0.085 * t, 0 * t, 0.0075 + 0 * t], -1)
    radii = 0.0062 + 0.0022 * t - 0.0075 * t**24
    return [("steel", grid(blade).moved(at, turn)), ("bone", tube(handle, radii, 16).moved(at, turn))]
