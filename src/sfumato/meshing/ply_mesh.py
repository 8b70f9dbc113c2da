"""Binary .ply files of points and triangles, as they are passed to pycolmap and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sfumato.errors import FormatError
from sfumato.scene.files.ply_table import read_header

_NAMES = {"f4": "float", "f8": "double", "u1": "uchar", "i4": "int"}
_FACE = np.dtype([("count", "u1"), ("rows", "<i4", (3,))])


def write_ply(path: Path, vertices: np.ndarray, faces: np.ndarray | None = None) -> None:
    """Write a file.

    Args:
        path: of the file, which is overwritten.
        vertices: [v] table with a named column of little-endian numbers for each property.
        faces: [f, 3] rows of ``vertices``; None: points alone.
    """
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    for name in vertices.dtype.names or ():
        lines.append(f"property {_NAMES[vertices.dtype[name].str[1:]]} {name}")
    table = np.zeros(0 if faces is None else len(faces), _FACE)
    if faces is not None:
        table["count"], table["rows"] = 3, faces
        lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    with path.open("wb") as handle:
        handle.write(("\n".join([*lines, "end_header"]) + "\n").encode())
        handle.write(vertices.tobytes())
        handle.write(table.tobytes())


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the triangles of a binary file that pycolmap wrote.

    Returns:
        vertices [v, 3] float64; faces [f, 3] int64.

    Raises:
        FormatError: there is none, or it holds something else.
    """
    try:
        header = read_header(path)
        body = path.read_bytes()[header.body_start_bytes :]
    except OSError as error:
        raise FormatError(f"no surface was made: {error.strerror}") from None
    vertex, face = header.element("vertex"), header.element("face")
    if not (header.order and vertex and face and face.properties[0].length_kind):
        raise FormatError("no surface was made: pycolmap wrote no binary file of vertices and faces")
    rows = face.properties[0]
    row = np.dtype(
        [("count", header.order + str(rows.length_kind)), ("rows", header.order + rows.kind, (3,))]
    )
    columns = [(one.name, header.order + one.kind) for one in vertex.properties]
    try:
        table = np.frombuffer(body, columns, vertex.count)
        faces = np.frombuffer(body, row, face.count, offset=table.nbytes)
    except ValueError:
        raise FormatError("no surface was made: pycolmap wrote a file that ends early") from None
    if not (faces["count"] == 3).all():
        raise FormatError("no surface was made: pycolmap wrote faces that are not triangles")
    vertices = np.stack([table[name] for name in "xyz"], 1).astype(np.float64)
    return vertices, faces["rows"].astype(np.int64)
