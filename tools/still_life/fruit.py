"""Fruit. Each function returns parts: (material name, mesh) in world position."""

from __future__ import annotations

import numpy as np
from shapes import ball, grid, merge, revolve, rotation_to, tube


def apple(at, radius: float, turn, kind: str = "apple_a") -> list:
    """An apple with its hollow, five faint ribs and a stalk."""
    angle = np.linspace(0, np.pi, 64)
    height = (
        np.cos(angle) * 0.93
        - 0.34 * np.exp(-((angle / 0.42) ** 2))
        + 0.16 * np.exp(-(((np.pi - angle) / 0.35) ** 2))
    )
    round_ = np.sin(angle) * (1 + 0.07 * np.cos(angle))
    body = revolve(
        radius * np.stack([round_, height], -1),
        96,
        lambda a, h: 1 + 0.022 * np.cos(5 * a) * (0.4 - h / radius),
    )
    t = np.linspace(0, 1, 10)[:, None]
    stalk = radius * np.concatenate([0.18 * t**2, 0.05 * t, 0.52 + 0.58 * t], 1)
    return [(kind, body.moved(at, turn)), ("bark", tube(stalk, 0.0016 + 0.0008 * t[:, 0]).moved(at, turn))]


def orange(at, radius: float, turn) -> list:
    """An orange: nearly round, a dent at the stalk; the pores are in its bump map."""
    angle = np.linspace(0, np.pi, 64)
    dent = 0.07 * np.exp(-((angle / 0.25) ** 2))
    return [
        (
            "orange",
            revolve(radius * np.stack([np.sin(angle), 0.95 * np.cos(angle) - dent], -1)).moved(at, turn),
        )
    ]


def lemon(at, radius: float, turn) -> list:
    """A lemon with its nipple at +z."""
    angle = np.linspace(0, np.pi, 72)
    tip = 0.30 * np.exp(-((angle / 0.30) ** 2)) + 0.14 * np.exp(-(((np.pi - angle) / 0.26) ** 2)) * -1
    profile = radius * np.stack([np.sin(angle) ** 1.08, 1.22 * np.cos(angle) + tip], -1)
    return [("lemon", revolve(profile).moved(at, turn))]


def peeled_lemon(at, radius: float) -> list:
    """The lemon of the Dutch tables: its peel hangs over the edge of the table in a spiral.

    The peel leaves the fruit, crosses the table towards -y and falls at y = -0.42.
    """
    x, y, z = at
    flesh = revolve(
        radius * np.stack([np.sin(a := np.linspace(0, np.pi, 48)), 1.1 * np.cos(a)], -1),
        96,
        lambda a, h: 1 - 0.03 * np.abs(np.sin(5 * a)),
    )
    t = np.linspace(0, 1, 241)
    turns = 2 * np.pi * 3.4 * t
    run, fall = np.clip(t / 0.45, 0, 1), np.clip((t - 0.45) / 0.55, 0, 1)
    coil = 0.017 + 0.007 * np.sin(np.pi * fall)
    edge = -0.42 - 0.030
    px = x + 0.035 * run + coil * np.sin(turns)
    py = y - 0.030 + (edge - y + 0.030) * run - coil * (1 + np.cos(turns)) * np.minimum(1, 5 * fall)
    pz = (
        0.006 + coil * (1 + np.cos(turns)) * np.sin(np.pi * np.clip(1.1 * run, 0, 1)) * 0.9 - 0.19 * fall**1.1
    )
    path = np.stack([px, py, pz], -1)
    axis = np.stack([0.2 * np.ones_like(t), -(1 - fall), -(0.1 + fall)], -1)
    side = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    half = 0.0105 * np.minimum(1, 6 * (1 - t) + 0.15)
    strip = np.stack([path + half[:, None] * side * s for s in np.linspace(-1, 1, 7)], 1)
    return [
        ("lemon_flesh", flesh.moved((x, y, z), rotation_to((0.5, -0.75, 0.45)))),
        ("peel", grid(strip)),
    ]


def grapes(at, count: int, seed: int, spill=(0.12, -0.03), others=()) -> list:
    """A bunch from ``at`` along ``spill``; berries settle on each other and on the balls ``others``."""
    rng = np.random.default_rng(seed)
    placed = [(np.asarray(centre), radius) for centre, radius in others]
    while len(placed) < len(others) + count:
        along = rng.random()
        radius = rng.uniform(0.0095, 0.0125)
        xy = np.asarray(at[:2]) + along * np.asarray(spill) + rng.normal(size=2) * 0.016 * (1.2 - along)
        z = at[2] + radius
        for centre, other in placed:
            gap = (radius + other) ** 2 * 0.9 - np.sum((centre[:2] - xy) ** 2)
            if gap > 0:
                z = max(z, centre[2] + np.sqrt(gap))
        if z < at[2] + 0.055 * (1.1 - along):
            placed.append((np.array([*xy, z]), radius))
    placed = placed[len(others) :]
    berries = [ball(r, 18).moved(c, rotation_to(rng.normal(size=3))) for c, r in placed]
    top = max(placed, key=lambda item: item[0][2])[0]
    t = np.linspace(0, 1, 24)[:, None]
    stem = (
        top + np.array([-0.02, 0.01, 0.004]) + t * [0.05, -0.008, 0.012] + 0.004 * np.sin(12 * t) * [0, 1, 1]
    )
    return [("grape", merge(berries)), ("bark", tube(stem, 0.0018))]
