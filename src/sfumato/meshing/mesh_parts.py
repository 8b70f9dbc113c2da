"""Pieces, holes and vertices of a triangle mesh."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# A piece with a smaller area than this share of that of the largest one is left out.
_LEAST_PIECE = 0.01


def without_small_pieces(
    vertices: np.ndarray, faces: np.ndarray, *, keep_one: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The mesh without small connected pieces, and without vertices that no face has.

    Args:
        vertices: [v, 3].
        faces: [f, 3] rows of ``vertices``.
        keep_one: leave out all pieces but the largest.
    """
    if not len(faces):
        return vertices[:0], faces
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(ends), bool), tuple(ends.T)), shape=(len(vertices),) * 2)
    piece = connected_components(graph, directed=False)[1][faces[:, 0]]
    area = np.bincount(piece, weights=areas(vertices, faces))
    wanted = area >= _LEAST_PIECE * area.max()
    if keep_one:
        wanted = np.arange(len(area)) == area.argmax()
    return used(vertices, faces[wanted[piece]])


def areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[f] areas of triangles."""
    first, second, third = (vertices[faces[:, corner]] for corner in range(3))
    return np.linalg.norm(np.cross(second - first, third - first), axis=1) / 2


def used(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that faces have, and the faces with their new rows."""
    rows, places = np.unique(faces, return_inverse=True)
    return vertices[rows], places.reshape(-1, 3).astype(np.int64)


def without_crowded_edges(faces: np.ndarray) -> np.ndarray:
    """The faces without those around an edge of more than two faces, which simplification may leave.

    All faces at the ends of such an edge are left out: the holes can be closed again, see ``closed``.

    Args:
        faces: [f, 3].
    """
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    pairs, counts = np.unique(edges, axis=0, return_counts=True)
    return faces[~np.isin(faces, pairs[counts > 2]).any(axis=1)]


def closed(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with a fan of triangles over each hole, from a new vertex in the middle of its border.

    Args:
        vertices: [v, 3].
        faces: [f, 3], where each edge has one or two faces of the same orientation.
    """
    count = len(vertices)
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    twins = np.isin(edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0])
    border = edges[~twins]
    if not len(border):
        return vertices, faces
    loops = _simple_loops(border)
    middles = np.stack([vertices[loop].mean(0) for loop in loops])
    fans = [
        np.stack([np.roll(loop, -1), loop, np.full(len(loop), count + number)], 1)
        for number, loop in enumerate(loops)
    ]
    return np.concatenate([vertices, middles]), np.concatenate([faces, *fans])


def _simple_loops(border: np.ndarray) -> list[np.ndarray]:
    """Closed paths through directed edges [e, 2], each of which meets no vertex twice."""
    onwards: dict[int, list[int]] = {}
    for start, end in border.tolist():
        onwards.setdefault(start, []).append(end)
    loops = []
    for first in onwards:
        path, places = [first], {first: 0}
        while onwards[path[-1]]:
            end = onwards[path[-1]].pop()
            if end in places:
                loop = path[places[end] :]
                loops.append(np.array(loop))
                del path[places[end] + 1 :]
                for one in loop[1:]:
                    del places[one]
            else:
                places[end] = len(path)
                path.append(end)
    return loops
