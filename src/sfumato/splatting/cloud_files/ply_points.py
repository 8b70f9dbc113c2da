"""Measured points of ``.ply`` files: the element "vertex", text or binary, in pieces."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files.ply_table import Element, PlyHeader, check_length, column_blocks, read_header
from sfumato.splatting.cloud_files.cloud_file import CloudFile
from sfumato.splatting.measured import MeasuredCloud

_COLOURS = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
)
_NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))
_INTENSITIES = ("intensity", "scalar_intensity", "scalar_Intensity", "reflectance")
_POSITION = ("x", "y", "z")


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file that begins with ``head`` is a PLY file."""
    return head.split(b"\n", 1)[0].strip() == b"ply"


def open_points(path: Path) -> CloudFile:
    """The points of a PLY file.

    Raises:
        FormatError: it is not a PLY file, holds Gaussians, has no positions, or is shorter than declared.
    """
    header = read_header(path)
    vertex = header.element("vertex")
    names = set(vertex.names) if vertex else set()
    if vertex is None or not names >= set(_POSITION):
        raise FormatError(f"{path} has no vertices with x, y and z, and so no points")
    if {"f_dc_0", "scale_0", "rot_0"} <= names:
        raise FormatError(f"{path} holds Gaussians already; give the points that were measured")
    check_length(header, vertex)
    return CloudFile("ply", vertex.count, lambda: _pieces(header, vertex))


def _pieces(header: PlyHeader, vertex: Element) -> Generator[MeasuredCloud, None, None]:
    present = set(vertex.names)
    rgb = next((names for names in _COLOURS if present >= set(names)), ())
    normals = next((names for names in _NORMALS if present >= set(names)), ())
    intensity = next(((name,) for name in _INTENSITIES if name in present), ())
    kinds = {one.name: one.kind for one in vertex.properties}
    # Bytes range from 0 to 255; the range of wider types is inferred from the values.
    colour_range = 255.0 if rgb and kinds[rgb[0]] in ("u1", "i1") else None
    for block in column_blocks(header, vertex, [*_POSITION, *rgb, *normals, *intensity]):
        xyz = np.stack([block[name].astype(np.float64) for name in _POSITION], axis=1)
        yield MeasuredCloud(
            xyz,
            _column(block, rgb),
            _column(block, intensity),
            _column(block, normals),
            colour_range=colour_range,
        )


def _column(block: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    return np.stack([block[name].astype(np.float32) for name in names], axis=1) if names else None
