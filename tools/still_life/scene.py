"""The whole still life as a Mitsuba scene.

``build_scene()`` is all a caller needs; ``set_variant`` first. World: metres, z up, the table
top at z = 0, the front of the table towards -y. ``CENTRE`` is what pictures look at.
"""

from __future__ import annotations

import fruit as f
import materials
import mitsuba as mi
import numpy as np
import objects as o
import plants
import room
from shapes import Mesh, box, merge, rotation_about, rotation_to

CENTRE = np.array([0.0, 0.0, 0.17])


def furniture() -> list:
    """Parts of the room and its table."""
    parts = room.shell() + room.wainscot() + room.table() + room.runner()
    parts += room.framed("landscape", (0.72, room.BACK, 0.62), 0.66, 0.47, (1, 0, 0), (0, -1, 0))
    parts += room.hanging((-1.55, room.BACK, 1.55), (1.05, 0, 0), 1.75, 6, 0.034, (0, -1, 0), "damask")
    parts += room.framed("chart", (-room.SIDE, -0.05, 0.42), 1.15, 0.86, (0, 1, 0), (1, 0, 0))
    parts += room.hanging((room.SIDE, 0.55, 1.5), (0, -1.5, 0), 1.9, 8, 0.036, (-1, 0, 0), "damask_green")
    return parts


def still_life() -> list:
    """Parts of everything on the table."""
    parts = o.vase((-0.15, 0.16, 0)) + plants.branches((-0.15, 0.16, 0.30), seed=11)
    parts += o.book((-0.47, 0.07, 0), (0.28, 0.20, 0.045), 0.18, "leather_green", "spine_green")
    parts += o.book((-0.46, 0.06, 0.045), (0.25, 0.18, 0.036), -0.12, "leather_red", "spine_red")
    parts += o.book((-0.48, 0.07, 0.081), (0.21, 0.15, 0.028), 0.38, "leather_brown", "spine_brown")
    parts += f.apple((-0.47, 0.05, 0.145), 0.036, rotation_about((1, 0.3, 0), 0.35), "apple_b")
    parts += o.candlestick((-0.33, 0.30, 0)) + o.armillary_sphere((0.46, 0.20, 0))
    parts += o.notebook((-0.29, -0.23, 0), 0.22)
    parts += fruit_parts()
    parts += o.knife((0.40, -0.21, 0.0095), 2.75)
    return parts


def fruit_parts() -> list:
    """The bowl and what lies in it and round it."""
    x, y = 0.17, 0.03
    parts = o.brass_bowl((x, y, 0.003))
    parts += f.orange((x - 0.055, y + 0.035, 0.083), 0.041, rotation_to((0.3, -0.5, 0.8)))
    parts += f.orange((x + 0.035, y + 0.060, 0.085), 0.040, rotation_to((-0.4, -0.2, 0.8)))
    parts += f.lemon((x + 0.062, y - 0.028, 0.088), 0.032, rotation_to((0.9, -0.5, 0.25)))
    parts += f.apple((x - 0.022, y - 0.050, 0.088), 0.040, rotation_about((1, 0.2, 0), 0.5), "apple_a")
    parts += f.orange((x - 0.002, y + 0.012, 0.142), 0.039, rotation_to((0.5, -0.4, 0.7)))
    parts += f.grapes(
        (x + 0.072, y - 0.068, 0.060),
        26,
        seed=3,
        spill=(0.02, -0.012),
        others=[
            ((x + 0.062, y - 0.028, 0.088), 0.034),
            ((x - 0.022, y - 0.050, 0.088), 0.040),
            ((x + 0.035, y + 0.060, 0.085), 0.040),
        ],
    )
    parts += f.grapes((x + 0.17, y - 0.12, 0.004), 46, seed=4, spill=(0.11, 0.02))
    parts += f.apple((0.0, -0.20, 0.035), 0.038, rotation_about((0.4, 1, 0), 0.4), "apple_b")
    parts += f.peeled_lemon((0.13, -0.25, 0.034), 0.031)
    parts += f.lemon((0.30, -0.27, 0.034), 0.030, rotation_to((-0.7, 0.35, 0.1)))
    return parts


def to_mitsuba(name: str, mesh: Mesh, bsdf=None, emitter=None):
    """A Mitsuba shape with the mesh's texture coordinates and normals."""
    properties = mi.Properties()
    if bsdf is not None:
        properties["bsdf"] = bsdf
    if emitter is not None:
        properties["emitter"] = emitter
    if not mesh.smooth:
        properties["face_normals"] = True
    shape = mi.Mesh(
        name,
        len(mesh.vertices),
        len(mesh.faces),
        props=properties,
        has_vertex_normals=mesh.smooth,
        has_vertex_texcoords=True,
    )
    values = mi.traverse(shape)
    values["vertex_positions"] = mi.Float(mesh.vertices.ravel().astype(np.float32))
    values["faces"] = mi.UInt32(mesh.faces.ravel().astype(np.uint32))
    values["vertex_texcoords"] = mi.Float(mesh.uv.ravel().astype(np.float32))
    if mesh.smooth:
        values["vertex_normals"] = mi.Float(mesh.normals().ravel().astype(np.float32))
    values.update()
    return shape


def build_scene(seed: int = 1):
    """Load the still life.

    Args:
        seed: of the painted textures; the shapes do not depend on it.

    Returns:
        A Mitsuba scene without a sensor; ``render.render_view`` brings its own.
    """
    parts = furniture() + still_life()
    bsdfs = {name: mi.load_dict(value) for name, value in materials.library(seed).items()}
    by_material: dict[tuple[str, bool], list[Mesh]] = {}
    for name, mesh in parts:
        by_material.setdefault((name, mesh.smooth), []).append(mesh)
    description = {"type": "scene"}
    for (name, smooth), meshes in by_material.items():
        key = f"{name}_{'smooth' if smooth else 'facets'}"
        description[key] = to_mitsuba(key, merge(meshes), bsdfs[name])
    glow = {"type": "area", "radiance": {"type": "rgb", "value": [30.0, 28.0, 24.5]}, "sampling_weight": 4.0}
    black = {"type": "diffuse", "reflectance": 0.0}
    panes = merge(room.window_panes())
    description["window"] = to_mitsuba("window", panes, mi.load_dict(black), mi.load_dict(glow))
    description["mullions"] = to_mitsuba(
        "mullions", box((0.03, 1.1, 1.32), (-room.SIDE, -0.95, 1.67)), bsdfs["wood_dark"]
    )
    description["fill"] = {"type": "constant", "radiance": {"type": "rgb", "value": [0.42, 0.40, 0.38]}}
    return mi.load_dict(description)
