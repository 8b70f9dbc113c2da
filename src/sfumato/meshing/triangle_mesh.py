"""The record of a coloured triangle mesh, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfumato.checks import file_path
from sfumato.errors import ConfigError, ShapeError
from sfumato.meshing.ply_mesh import write_ply
from sfumato.outputs import replacing
from sfumato.scene.files.colour_space import linear
from sfumato.scene.files.gltf_writing import write_chunks
from sfumato.scene.scene import GENERATOR

SUFFIXES = (".ply", ".glb", ".obj")
# float32 serves where it rounds positions by less than this share of the extent.
_MOST_ROUNDING = 1e-5


@dataclass(frozen=True)
class Mesh:
    """A coloured triangle mesh.

    Attributes:
        vertices: [v, 3] float64, in the frame and unit of the input.
        faces: [f, 3] int64 rows of ``vertices``, counter-clockwise seen from outside.
        colours: [v, 3] uint8 sRGB.

    Raises:
        ShapeError: an array has another shape.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray

    def __post_init__(self) -> None:
        for name, one in (("vertices", self.vertices), ("faces", self.faces), ("colours", self.colours)):
            if one.ndim != 2 or one.shape[1] != 3:
                raise ShapeError(f"{name} has shape {list(one.shape)}, expected [n, 3]")
        if len(self.colours) != len(self.vertices):
            raise ShapeError(f"there are {len(self.colours)} colours of {len(self.vertices)} vertices")

    def __repr__(self) -> str:
        return f"Mesh({len(self.vertices):,} vertices, {len(self.faces):,} faces)"

    def save(self, path: str | Path) -> None:
        """Write the mesh to a file, whole or not at all.

        Args:
            path: ends in .ply, .glb or .obj. Axes and unit stay as they are, also in .glb.

        Raises:
            ConfigError: it ends in something else.
            SfumatoError: it cannot be written.
        """
        path = file_path("path", path)
        write = {".ply": _write_ply, ".glb": _write_glb, ".obj": _write_obj}[mesh_suffix(path)]
        with replacing(path) as temporary:
            write(self, temporary)


def mesh_suffix(path: Path) -> str:
    """The suffix that names the format of a mesh.

    Raises:
        ConfigError: it is none of them.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{path}: give a name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    return suffix


def _write_ply(mesh: Mesh, path: Path) -> None:
    farthest = float(np.abs(mesh.vertices).max(initial=0))
    extent = float(np.ptp(mesh.vertices, axis=0).max()) if len(mesh.vertices) else 0.0
    is_coarse = farthest * np.finfo(np.float32).eps > _MOST_ROUNDING * extent
    real = "<f8" if is_coarse else "<f4"
    colours = ("red", "green", "blue")
    table = np.zeros(
        len(mesh.vertices), [(name, real) for name in "xyz"] + [(name, "u1") for name in colours]
    )
    for axis in range(3):
        table["xyz"[axis]], table[colours[axis]] = mesh.vertices[:, axis], mesh.colours[:, axis]
    write_ply(path, table, mesh.faces)


def _write_obj(mesh: Mesh, path: Path) -> None:
    with path.open("w", encoding="ascii") as handle:
        handle.write(f"# {GENERATOR}\n")
        np.savetxt(
            handle, np.hstack([mesh.vertices, mesh.colours / 255]), "v %.10g %.10g %.10g %.4f %.4f %.4f"
        )
        np.savetxt(handle, mesh.faces + 1, "f %d %d %d")


def _write_glb(mesh: Mesh, path: Path) -> None:
    """glTF 2.0: positions about their middle, which is the node's translation, as float32 is all there is."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    middle = (low + high) / 2
    positions = (mesh.vertices - middle).astype("<f4")
    # glTF wants linear colours; 8 bits would be too coarse for them in the dark.
    colours = np.full((len(positions), 4), 65535, "<u2")
    colours[:, :3] = np.rint(linear(mesh.colours / 255) * 65535)
    parts = [positions, colours, mesh.faces.astype("<u4")]
    starts = [0, positions.nbytes, positions.nbytes + colours.nbytes]
    length = sum(part.nbytes for part in parts)
    views = [
        {"buffer": 0, "byteOffset": start, "byteLength": part.nbytes, "target": target}
        for start, part, target in zip(starts, parts, (34962, 34962, 34963), strict=True)
    ]
    bounds = {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()}
    kinds = ((5126, len(positions), "VEC3", bounds), (5123, len(colours), "VEC4", {"normalized": True}))
    accessors = [
        {"bufferView": row, "componentType": kind, "count": count, "type": form, **more}
        for row, (kind, count, form, more) in enumerate((*kinds, (5125, mesh.faces.size, "SCALAR", {})))
    ]
    document = {
        "asset": {"version": "2.0", "generator": GENERATOR},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": middle.tolist()}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}
        ],
        "materials": [{"extensions": {"KHR_materials_unlit": {}}, "doubleSided": True}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": length}],
    }
    with path.open("wb") as handle:
        write_chunks(handle, document, parts, length)
