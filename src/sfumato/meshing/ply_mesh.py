"""Binary .ply files of points and triangles, as they are passed to pycolmap and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sfumato.errors import FormatError

_NAMES = {"f4": "float", "f8": "double", "u1": "uchar", "i4": "int"}
_TYPES = {"char": "i1", "uchar": "u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4",
          "float": "<f4", "double": "<f8", "float32": "<f4", "float64": "<f8", "uint8": "u1", "int32": "<i4",
          "uint32": "<u4"}  # fmt: skip
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
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"no surface was made: {error.strerror}") from None
    head, _, body = content.partition(b"end_header\n")
    words = [line.split() for line in head.decode("ascii", "replace").splitlines()]
    if ["format", "binary_little_endian", "1.0"] not in words:
        raise FormatError("no surface was made: pycolmap wrote no binary file")
    counts = {line[1]: int(line[2]) for line in words if line[:1] == ["element"]}
    columns = [(line[2], _TYPES[line[1]]) for line in words if line[:1] == ["property"] and len(line) == 3]
    lists = [line for line in words if line[:2] == ["property", "list"]]
    table = np.frombuffer(body, columns, counts.get("vertex", 0))
    vertices = np.stack([table[name] for name in "xyz"], 1).astype(np.float64)
    row = np.dtype([("count", _TYPES[lists[0][2]]), ("rows", _TYPES[lists[0][3]], (3,))])
    faces = np.frombuffer(body, row, counts.get("face", 0), offset=table.nbytes)
    if not (faces["count"] == 3).all():
        raise FormatError("no surface was made: pycolmap wrote faces that are no triangles")
    return vertices, faces["rows"].astype(np.int64)
