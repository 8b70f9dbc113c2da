"""Blossoming branches that stand in the vase: thin wood, leaves, flowers."""

from __future__ import annotations

import numpy as np
from shapes import Mesh, ball, grid, leaf, merge, rotation_about, rotation_to, tube

# Direction and length of each branch.
BRANCHES = [
    (-0.62, -0.10, 1, 0.36),
    (-0.15, 0.22, 1, 0.40),
    (0.35, -0.18, 1, 0.33),
    (0.85, 0.1, 0.9, 0.36),
    (-0.9, 0.12, 0.62, 0.30),
]


def _wander(start, direction, length: float, rng, bend: float, steps: int = 28) -> np.ndarray:
    """[steps, 3] a path that leaves ``start`` along ``direction``, with kinks, sagging a little."""
    heading = np.asarray(direction, float) / np.linalg.norm(direction)
    path = [np.asarray(start, float)]
    for _ in range(steps - 1):
        heading = heading + bend * rng.normal(size=3) + np.array([0, 0, -0.012])
        heading /= np.linalg.norm(heading)
        path.append(path[-1] + heading * length / (steps - 1))
    return np.array(path)


def _leaf_at(point, along, rng) -> Mesh:
    """A leaf that grows from ``point`` sideways off the direction ``along``, face up."""
    length = rng.uniform(0.038, 0.066)
    side = rng.normal(size=3)
    side -= along * (side @ along) / (along @ along)
    x = 0.7 * along / np.linalg.norm(along) + side / np.linalg.norm(side) + np.array([0, 0, 0.15])
    x /= np.linalg.norm(x)
    z = np.array([0, 0, 1.0]) + 0.4 * rng.normal(size=3)
    z -= x * (z @ x)
    z /= np.linalg.norm(z)
    return leaf(length, 0.42 * length, rng.uniform(0.3, 1.1)).moved(
        point, np.stack([x, np.cross(z, x), z], 1)
    )


def _blossom(point, facing, rng) -> tuple[list[Mesh], list[Mesh]]:
    """Five cupped petals and a knot of stamens."""
    size = rng.uniform(0.016, 0.024)
    t, s = np.linspace(0, 1, 9)[:, None], np.linspace(-1, 1, 7)[None]
    half = 0.55 * np.sin(np.pi * np.clip(0.12 + 0.8 * t, 0, 1)) ** 0.8
    opening = rng.uniform(0.35, 0.8)
    shape = np.stack([t * (1 - 0.1 * s**2), half * s, opening * t**1.6 + 0.25 * (half * s) ** 2], -1)
    turn = rotation_to(facing, rng.uniform(0, 6.3))
    petals = [
        grid(size * shape).moved(
            point, turn @ rotation_about((0, 0, 1), 2 * np.pi * (k + 0.15 * rng.random()) / 5)
        )
        for k in range(5)
    ]
    stamens = [ball(0.0028, 8).moved(point + 0.0015 * turn[:, 2])]
    for _ in range(7):
        tip = turn @ np.array([*(0.32 * rng.normal(size=2)), 0.9]) * 0.0085
        stamens.append(tube(np.array([point, point + 0.6 * tip, point + tip]), [0.0003, 0.0003, 0.0007], 5))
    return petals, stamens


def _twigs(stem, length: float, rng) -> list[np.ndarray]:
    """Paths [12, 3] that fork off ``stem``."""
    twigs = []
    for at in (9, 13, 17, 21):
        out = stem[at + 1] - stem[at] + 0.012 * rng.normal(size=3) + np.array([0, 0, 0.003])
        twigs.append(_wander(stem[at], out, length * rng.uniform(0.22, 0.42), rng, 0.14, 12))
    return twigs


def branches(mouth, seed: int) -> list:
    """Parts of five branches that fan out of the vase at ``mouth``."""
    rng = np.random.default_rng(seed)
    wood, leaves, petals, stamens = [], [], [], []
    mouth = np.asarray(mouth, float)
    for dx, dy, dz, length in BRANCHES:
        lean = np.array([dx, dy, 0]) / np.hypot(dx, dy)
        root = mouth - 0.018 * lean + np.array([0, 0, -0.09])
        rim = mouth + 0.026 * lean
        stem = np.concatenate([[root], _wander(rim, (dx, dy, dz), length, rng, 0.10)])
        wood.append(tube(stem, np.linspace(0.0034, 0.0011, len(stem)), 8))
        twigs = [stem[8:], *_twigs(stem, length, rng)]
        wood += [tube(twig, np.linspace(0.0018, 0.0007, 12), 6) for twig in twigs[1:]]
        for twig in twigs:
            for at in range(3, len(twig) - 1, 3):
                along = twig[at + 1] - twig[at]
                if rng.random() < 0.8:
                    leaves.append(_leaf_at(twig[at], along, rng))
            facing = twig[-1] - twig[-2] + 0.02 * rng.normal(size=3) + np.array([0, -0.006, 0.004])
            for place in (twig[-1], twig[len(twig) // 2])[: 1 + (rng.random() < 0.7)]:
                new_petals, new_stamens = _blossom(place, facing, rng)
                petals += new_petals
                stamens += new_stamens
    return [
        ("bark", merge(wood)),
        ("leaf", merge(leaves)),
        ("petal", merge(petals)),
        ("stamen", merge(stamens)),
    ]
