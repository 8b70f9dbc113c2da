"""Measured points of glTF files: mesh primitives of mode POINTS, in the frame of scenes, y down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files import colour_space
from sfumato.scene.files.gltf_container import Document, as_dict, as_list, read_document
from sfumato.scene.files.node_transforms import Y_DOWN_UP, Y_UP_FROM_SCENE
from sfumato.splatting.cloud_files.cloud_file import CloudFile
from sfumato.splatting.measured import MeasuredCloud

_POINTS = 0
# Meshes can be instantiated many times: at most one point per this many bytes of the file is allowed.
_BYTES_PER_POINT, _ALWAYS_ALLOWED = 4, 65536


def open_points(path: Path) -> CloudFile:
    """The points of a glTF file.

    Raises:
        FormatError: it is not glTF 2, has no points, or is truncated.
    """
    document = read_document(path)
    found = [
        (world_from_mesh, as_dict(as_dict(primitive).get("attributes")))
        for world_from_mesh, mesh in document.placed_meshes()
        for primitive in as_list(mesh.get("primitives"))
        if as_dict(primitive).get("mode") == _POINTS
    ]
    found = [(placed, attributes) for placed, attributes in found if "POSITION" in attributes]
    if not found:
        raise FormatError(f"{path} holds no points: no mesh of its scene is of points")
    count = sum(document.count(attributes["POSITION"]) for _, attributes in found)
    if count > _ALWAYS_ALLOWED + sum(buffer.length for buffer in document.buffers) // _BYTES_PER_POINT:
        raise FormatError(f"{path} places its points more often than a cloud does")
    return CloudFile("glTF", count, lambda: (_measured(document, *one) for one in found))


def _measured(document: Document, world_from_mesh: np.ndarray, attributes: dict[str, Any]) -> MeasuredCloud:
    matrix = Y_UP_FROM_SCENE @ world_from_mesh
    local = document.numbers(attributes["POSITION"], 3).astype(np.float64)
    normals = None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        xyz = local @ matrix[:3, :3].T + matrix[:3, 3]
        if "NORMAL" in attributes:
            # Normals transform with the inverse transpose; the cofactor matrix also works for singular
            # matrices.
            turn = _cofactors(matrix[:3, :3])
            normals = (document.numbers(attributes["NORMAL"], 3) @ turn.T).astype(np.float32)
    rgb = _colours(document, attributes["COLOR_0"]) if "COLOR_0" in attributes else None
    for name, column in (("NORMAL", normals), ("COLOR_0", rgb)):
        if column is not None and len(column) != len(xyz):
            raise FormatError(f"{document.path} has another number of {name} than of POSITION")
    return MeasuredCloud(xyz, rgb, normals=normals, colour_range=1.0, up=Y_DOWN_UP, metres_per_unit=1.0)


def _cofactors(matrix: np.ndarray) -> np.ndarray:
    x, y, z = matrix
    return np.stack([np.cross(y, z), np.cross(z, x), np.cross(x, y)])


def _colours(document: Document, index: object) -> np.ndarray:
    """[n, 3] sRGB-encoded colours of COLOR_0, which is linear."""
    is_vec4 = document.item("accessors", index).get("type") == "VEC4"
    return colour_space.encoded(np.clip(document.numbers(index, 4 if is_vec4 else 3)[:, :3], 0, 1))
