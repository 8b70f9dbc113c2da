"""Files of measured point clouds: the format is detected by content, for text files by the suffix."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from sfumato.checks import file_path, whole_number
from sfumato.display import Display
from sfumato.errors import FormatError
from sfumato.scene.files import gltf
from sfumato.splatting.cloud_files import (
    e57_points,
    gltf_points,
    las_points,
    mesh_points,
    pcd_points,
    ply_points,
    text_points,
)
from sfumato.splatting.cloud_files.cloud_file import CloudFile
from sfumato.splatting.measured import MeasuredCloud
from sfumato.splatting.thinning import CloudCollector

_READERS: tuple[tuple[Callable[[bytes, Path], bool], Callable[[Path], CloudFile]], ...] = (
    (ply_points.recognises, ply_points.open_points),
    (las_points.recognises, las_points.open_points),
    (e57_points.recognises, e57_points.open_points),
    (pcd_points.recognises, pcd_points.open_points),
    (gltf.recognises, gltf_points.open_points),
    (mesh_points.recognises, mesh_points.open_points),
    (text_points.recognises, text_points.open_points),
)
KNOWN = ".ply, .las, .laz, .e57, .pcd, .glb, .gltf, .xyz, .txt, .csv, .asc, .pts; meshes: .obj, .stl, .off"
_HEAD_BYTES = 64 * 1024
# Larger clouds are thinned to this many points: at about 700 bytes of memory per point, 3 GiB.
MAX_POINTS = 4_000_000

_log = logging.getLogger("sfumato")


def _opened(path: Path) -> CloudFile:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file" if path.exists() else "missing"
        raise FormatError(f"{path} is {what}; give a file of points")
    with path.open("rb") as handle:
        head = handle.read(_HEAD_BYTES)
    if not head:
        raise FormatError(f"{path} is empty")
    for recognises, open_points in _READERS:
        if recognises(head, path):
            return open_points(path)
    raise FormatError(f"{path} is not in a known format of measured points; known formats: {KNOWN}")


def first_points(path: Path) -> MeasuredCloud:
    """The first points of a file, which show its columns; empty if it has none.

    Raises:
        FormatError: the file is missing, of unknown format, or damaged.
    """
    try:
        with closing(_opened(path).pieces()) as pieces, np.errstate(over="ignore", invalid="ignore"):
            return next(iter(pieces), MeasuredCloud(np.zeros((0, 3)))).finite()
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}") from error


def read_cloud(
    path: str | Path, *, max_points: int = MAX_POINTS, display: Display | None = None
) -> MeasuredCloud:
    """Read a file of measured points, of any size, within memory bounded by ``max_points``.

    Args:
        path: a file of points: PLY, LAS, LAZ, E57, PCD, glTF, or text with one point per line.
        max_points: a larger cloud is thinned to at most this many points: the points of each cell of a grid
            are replaced by their mean.
        display: shows the progress; None: nothing is shown.

    Returns:
        The cloud in the frame of the file, in float64.

    Raises:
        FormatError: the file is missing, of unknown format, damaged, or has no finite points.
        ConfigError: ``path`` is not a path, or ``max_points`` is not a positive integer.
    """
    path, max_points = file_path("path", path), whole_number("max_points", max_points, least=1)
    display = display or Display()
    try:
        found = _opened(path)
        gathering, read, kept = CloudCollector(max_points), 0, 0
        with (
            display.counting(f"reading {path.name}", "points") as report,
            closing(found.pieces()) as pieces,
            # Damaged files may contain any numbers; points that are not finite are dropped.
            np.errstate(over="ignore", invalid="ignore"),
        ):
            for piece in pieces:
                finite = piece.finite()
                read, kept = read + len(piece), kept + len(finite)
                gathering.add(finite)
                report(read, found.count or 0)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}") from error
    if not kept:
        raise FormatError(f"{path} holds no points" + (f": all {read} are NaN or infinite" if read else ""))
    if kept < read:
        _log.warning("%s: left out %d of %d points that are NaN or infinite", path, read - kept, read)
    cloud = gathering.finish()
    if len(cloud) < kept:
        _log.warning(
            "%s: %d points are thinned to %d, one for each %.3g units",
            *(path, kept, len(cloud), gathering.cell),
        )
    return cloud
