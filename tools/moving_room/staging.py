"""The room as a Mitsuba scene whose moving things can be put where they are at any time."""

from __future__ import annotations

import mitsuba as mi
import numpy as np
from materials import matte
from movers import Mover
from shapes import Mesh, merge
from still import ceiling, lamp, still_things

from scene import to_mitsuba

RADIANCE = (5.6, 5.4, 5.0)
TILE = 512


def _tiled(pictures: list[np.ndarray]) -> np.ndarray:
    """[h, w, 3] all textures in one, row by row: with a single material Mitsuba is several times as fast."""
    columns = int(np.ceil(np.sqrt(len(pictures))))
    whole = np.zeros((columns * TILE, columns * TILE, 3))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        rows, cols = ((np.arange(TILE) + 0.5) * side / TILE for side in picture.shape[:2])
        whole[row * TILE :][:TILE, column * TILE :][:, :TILE] = picture[rows.astype(int)][:, cols.astype(int)]
    return whole


def _in_tile(mesh: Mesh, number: int, count: int) -> Mesh:
    """The mesh with its texture coordinates in tile ``number`` of ``count``."""
    columns = int(np.ceil(np.sqrt(count)))
    inside = (mesh.uv * (TILE - 1) + 0.5) / TILE
    uv = (inside + np.array([number % columns, number // columns])) / columns
    return Mesh(mesh.vertices, mesh.faces, uv, mesh.smooth)


def stage(movers: list[Mover], seed: int):
    """A Mitsuba scene without a sensor, everything as at time 0."""
    still = still_things(seed)
    pictures = [texture for texture, _ in still] + [mover.texture for mover in movers]
    pictures += [np.full((1, 1, 3), 0.9), np.zeros((1, 1, 3))]
    count = len(pictures)
    paint = mi.load_dict(matte(_tiled(pictures)))
    placed = [(mesh, number) for number, (_, mesh) in enumerate(still)] + [(ceiling(), count - 2)]
    room = [_in_tile(mesh, number, count) for mesh, number in placed]
    room = Mesh(*(getattr(merge(room), name) for name in ("vertices", "faces", "uv")), smooth=False)
    scene = {"type": "scene", "room": to_mitsuba("room", room, paint)}
    for number, mover in enumerate(movers, len(still)):
        scene[mover.name] = to_mitsuba(mover.name, _in_tile(mover.at(0.0), number, count), paint)
    glow = mi.load_dict({"type": "area", "radiance": {"type": "rgb", "value": list(RADIANCE)}})
    scene["lamp"] = to_mitsuba("lamp", _in_tile(lamp(), count - 1, count), paint, glow)
    return mi.load_dict(scene)


def move(scene, movers: list[Mover], time: float) -> None:
    """Put every moving thing where it is at ``time``."""
    values = mi.traverse(scene)
    for mover in movers:
        mesh = mover.at(time)
        values[f"{mover.name}.vertex_positions"] = mi.Float(mesh.vertices.ravel().astype(np.float32))
        if mesh.smooth:
            values[f"{mover.name}.vertex_normals"] = mi.Float(mesh.normals().ravel().astype(np.float32))
    values.update()
