"""The surface through oriented points, by pycolmap: Poisson reconstruction and simplification."""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from sfumato.children import child_command
from sfumato.errors import ConfigError, SfumatoError
from sfumato.meshing.fusion import SurfacePoints
from sfumato.meshing.mesh_parts import closed, without_crowded_edges, without_small_pieces
from sfumato.meshing.ply_mesh import read_ply, write_ply

# Levels of the octree, and the room around the points that Poisson reconstruction takes.
_LEAST_LEVELS, _MOST_LEVELS, _ROOM = 5, 11, 1.1
# The surface is cut off at this many voxels from the points.
_REACH = 3.0
_POINT = np.dtype([(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
                  + [(name, "u1") for name in ("red", "green", "blue")])  # fmt: skip
_VERTEX = np.dtype([(name, "<f4") for name in "xyz"])


def surface_through(points: SurfacePoints, *, faces: int, watertight: bool) -> tuple[np.ndarray, np.ndarray]:
    """The triangles of the surface through oriented points.

    Args:
        points: on the surface.
        faces: approximate maximum number of triangles.
        watertight: keep the parts that Poisson reconstruction invents between and beyond the points, as one
            closed piece; else they are trimmed, and small pieces removed.

    Returns:
        vertices [v, 3] float64, world frame; faces [f, 3] int64, counter-clockwise seen from outside.

    Raises:
        ConfigError: no surface goes through the points.

    Source: Kazhdan and Hoppe 2013; Garland and Heckbert 1997.
    """
    # In voxels, so that the result does not depend on the unit of the scene.
    low = points.xyz.min(0)
    inner = (points.xyz - low) / points.voxel
    with tempfile.TemporaryDirectory(prefix="sfumato_mesh_") as name:
        vertices, triangles = _poisson(Path(name), inner, points.normals)
        if not watertight:
            distance, _ = cKDTree(inner).query(vertices, distance_upper_bound=_REACH, workers=-1)
            triangles = triangles[(distance[triangles] <= _REACH).all(1)]
        vertices, triangles = without_small_pieces(vertices, triangles, keep_one=watertight)
        if not len(triangles):
            raise ConfigError("Poisson reconstruction found no surface; give more photographs")
        if len(triangles) > faces:
            vertices, triangles = _simplified(Path(name), vertices, triangles, faces)
    if watertight:
        triangles = without_crowded_edges(triangles)
    vertices, triangles = without_small_pieces(vertices, triangles, keep_one=watertight)
    if watertight:
        vertices, triangles = closed(vertices, triangles)
    return vertices * points.voxel + low, triangles


def _poisson(folder: Path, xyz: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    table = np.zeros(len(xyz), _POINT)
    for names, columns in ((("x", "y", "z"), xyz), (("nx", "ny", "nz"), normals)):
        for name, column in zip(names, columns.T, strict=True):
            table[name] = column
    write_ply(folder / "points.ply", table)
    # Cells of one to two voxels.
    levels = math.floor(math.log2(max(2.0, _ROOM * float(np.ptp(xyz, axis=0).max()))))
    depth = min(max(levels, _LEAST_LEVELS), _MOST_LEVELS)
    options = {"depth": depth, "trim": 0.0, "color": False, "num_threads": 1}
    return _by_pycolmap(folder, "poisson_meshing", "PoissonMeshingOptions", "points.ply", options)


def _simplified(
    folder: Path, vertices: np.ndarray, faces: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    table = np.zeros(len(vertices), _VERTEX)
    for name, column in zip("xyz", vertices.T, strict=True):
        table[name] = column
    write_ply(folder / "full.ply", table, faces)
    options = {"target_face_ratio": count / len(faces), "interpolate_colors": False, "num_threads": 1}
    return _by_pycolmap(folder, "simplify_mesh", "MeshSimplificationOptions", "full.ply", options)


def _by_pycolmap(
    folder: Path, function: str, record: str, given: str, options: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The mesh that a function of pycolmap makes of a file, in a separate process.

    The function prints messages, cannot be interrupted, and ends its process on failure.
    """
    code = (
        "import json, sys, pycolmap\n"
        "function, record, given, made, options = sys.argv[1:]\n"
        "options = getattr(pycolmap, record)(json.loads(options))\n"
        "getattr(pycolmap, function)(given, made, options)"
    )
    arguments = [function, record, given, "made.ply", json.dumps(options)]
    try:
        subprocess.run([*child_command(code), *arguments], cwd=folder, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SfumatoError(f"no surface was made: {function} of pycolmap failed; free some memory") from error
    return read_ply(folder / "made.ply")
