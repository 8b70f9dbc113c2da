"""What stands still: floor, walls, ceiling, furniture. Metres, z up, the floor is z = 0."""

from __future__ import annotations

import numpy as np
from drawings import chart, landscape
from patterns import flap, marbled, plaster
from shapes import Mesh, box, merge, quad
from textures import damask, floor_tiles, wood

HALF, HIGH = 2.2, 2.6
HUNG = HALF - 0.01
"""Where flaps and pictures hang before the walls."""
PLINTH = (-0.75, 0.95, 0.30)
"""x and y of its axis, and its height."""
BAR_FOOT = (0.25, 0.85, 0.06)


def atlas(block: Mesh) -> Mesh:
    """A block of ``shapes.box`` whose six sides show different parts of the texture."""
    side = np.arange(len(block.vertices)) // 4 % 6
    uv = (block.uv * 0.98 + 0.01 + np.stack([side % 3, side // 3], -1)) / (3, 2)
    return Mesh(block.vertices, block.faces, uv, smooth=False)


def lamp() -> Mesh:
    """The glowing panel under the ceiling; it shines down."""
    return quad((-1.3, 1.3, HIGH - 0.01), (0, -2.6, 0), (2.6, 0, 0))


def _walls(rng) -> list:
    size, down = 2 * HALF, (0, 0, -HIGH)
    return [
        (plaster(rng, (0.62, 0.56, 0.44)), quad((-HALF, HALF, HIGH), (size, 0, 0), down)),
        (plaster(rng, (0.46, 0.57, 0.58)), quad((HALF, -HALF, HIGH), (-size, 0, 0), down)),
        (plaster(rng, (0.60, 0.46, 0.40)), quad((-HALF, -HALF, HIGH), (0, size, 0), down)),
        (plaster(rng, (0.50, 0.58, 0.44)), quad((HALF, HALF, HIGH), (0, -size, 0), down)),
    ]


def _on_walls(rng) -> list:
    """Two flaps at the floor, through which things pass, and pictures."""
    colours = [(0.2, 0.3, 0.5), (0.8, 0.6, 0.2), (0.7, 0.25, 0.2), (0.85, 0.82, 0.7), (0.25, 0.45, 0.35)]
    return [
        (flap(rng), quad((HUNG, 0.70, 0.52), (0, -0.8, 0), (0, 0, -0.52))),
        (flap(rng), quad((-HUNG, -0.10, 0.52), (0, 0.8, 0), (0, 0, -0.52))),
        (landscape(rng, (320, 448)), quad((-1.1, HUNG, 1.35), (1.0, 0, 0), (0, 0, -0.7))),
        (chart(rng, (384, 512)), quad((1.1, -HUNG, 1.4), (-1.1, 0, 0), (0, 0, -0.8))),
        (marbled(rng, colours, (3, 4)), quad((-HUNG, -1.6, 1.3), (0, 0.9, 0), (0, 0, -0.6))),
        (marbled(rng, colours[::-1], (4, 3)), quad((HUNG, 1.7, 1.4), (0, -0.6, 0), (0, 0, -0.8))),
    ]


def _furniture(rng) -> list:
    pine = wood(rng, (256, 256), 2)
    bench = [box((0.9, 0.3, 0.05), (0.9, -1.45, 0.33))]
    bench += [box((0.05, 0.26, 0.305), (x, -1.45, 0.1525)) for x in (0.52, 1.28)]
    shelf = [box((0.04, 0.36, 0.9), (x, 1.95, 0.45)) for x in (0.82, 1.68)]
    shelf += [box((0.82, 0.36, 0.03), (1.25, 1.95, z)) for z in (0.05, 0.45, 0.88)]
    red, blue = [(0.55, 0.2, 0.15), (0.8, 0.5, 0.3)], [(0.2, 0.3, 0.5), (0.6, 0.66, 0.7)]
    x, y, height = PLINTH
    grey = [(0.35, 0.34, 0.33), (0.7, 0.68, 0.62), (0.5, 0.42, 0.34)]
    chest = atlas(box((0.7, 0.45, 0.42), (-1.35, -1.5, 0.21)))
    return [
        (pine, merge(bench)),
        (pine * 0.8, merge(shelf)),
        (marbled(rng, [*red, (0.3, 0.3, 0.25)], (3, 3)), chest),
        (marbled(rng, [*blue, (0.8, 0.7, 0.4)], (3, 4)), atlas(box((0.3, 0.22, 0.2), (1.1, 1.93, 0.565)))),
        (marbled(rng, [*red, *blue], (4, 3)), atlas(box((0.22, 0.22, 0.3), (1.46, 1.93, 0.615)))),
        (marbled(rng, grey, (2, 4)), atlas(box((0.5, 0.5, height), (x, y, height / 2)))),
        (marbled(rng, grey[::-1], (2, 3)), atlas(box((0.34, 0.34, BAR_FOOT[2]), (*BAR_FOOT[:2], 0.03)))),
    ]


def still_things(seed: int) -> list[tuple[np.ndarray, Mesh]]:
    """Texture [h, w, 3] (sRGB) and mesh of every part of the room that a camera may see."""
    rng = np.random.default_rng(seed)
    floor = quad((-HALF, HALF, 0), (2 * HALF, 0, 0), (0, -2 * HALF, 0))
    rug = quad((-1.0, 0.55, 0.006), (2.1, 0, 0), (0, -1.5, 0))
    parts = [(floor_tiles(rng, (512, 512), 9), floor), (damask(rng, shape=(512, 512), repeat=4), rug)]
    return parts + _walls(rng) + _on_walls(rng) + _furniture(rng)


def ceiling() -> Mesh:
    """White, above the lamp."""
    return quad((-HALF, -HALF, HIGH), (2 * HALF, 0, 0), (0, 2 * HALF, 0))
