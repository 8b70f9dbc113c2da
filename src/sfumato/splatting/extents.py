"""In-plane size and rotation of each splat, from the distribution of its neighbours."""

from __future__ import annotations

import numpy as np

from sfumato.splatting.local_planes import LocalPlanes, Report, blocks

# Cosine of the largest angle between normals of neighbours on the same face.
_SAME_FACE = 0.5
# With fewer neighbours on the face, all neighbours are used.
_LEAST_ON_FACE = 5
# Largest aspect ratio of a splat: gaps between scan lines are bridged without needle-like splats.
_MOST_ELONGATED = 3.0
# The largest spacing, in units of the distance of the fourth neighbour, which is 1.1 spacings on average.
_MOST_SPACING = 2.0


def frames_and_extents(
    xyz: np.ndarray, normals: np.ndarray, planes: LocalPlanes, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Local frames, and the spacing of points along their two axes in the plane.

    The second central moments of the neighbours in the plane give the axes and the area per point: an ellipse
    with semi-axes 2 sqrt(l1) and 2 sqrt(l2) has the moments l1 and l2, and each of m points in it has the
    area 4 pi sqrt(l1 l2) / m. At an edge all neighbours lie on one side, and the moment across it is about a
    quarter: splats are thin there. Neighbours on another face are ignored.

    Args:
        xyz: [n, 3] points.
        normals: [n, 3] unit vectors, of consistent signs.
        planes: of the points.
        report: called with the number of points done and the total.

    Returns:
        [n, 3, 3] float32 world_from_local rotations: longer axis, shorter axis, normal; and [n, 2] float32
        spacings along the first two, whose product is the area per point.
    """
    frames = np.empty((len(xyz), 3, 3), np.float32)
    spacings = np.empty((len(xyz), 2), np.float32)
    for part in blocks(len(xyz)):
        normal = normals[part].astype(np.float64)
        first = _across(normal)
        second = np.cross(normal, first)
        rows = planes.rows[part]
        offsets = xyz[rows] - xyz[part, None]
        u, v = np.einsum("nki,ni->nk", offsets, first), np.einsum("nki,ni->nk", offsets, second)
        weights = np.einsum("nki,ni->nk", normals[rows], normals[part]) > _SAME_FACE
        weights |= (weights.sum(axis=1) < _LEAST_ON_FACE)[:, None]
        angle, spacings[part] = _ellipse(u, v, weights)
        # A small isolated group has further neighbours only across gaps, which are not surface.
        np.minimum(spacings[part], _MOST_SPACING * planes.near[part, None], out=spacings[part])
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        longer = cos * first + sin * second
        frames[part] = np.stack([longer, np.cross(normal, longer), normal], axis=2)
        report(part.stop, len(xyz))
    return frames, spacings


def quats_of_frames(frames: np.ndarray) -> np.ndarray:
    """[n, 4] quaternions (w, x, y, z) of rotations [n, 3, 3], vectorised; the input must be orthonormal.

    Each row of 4 q q^T, which is linear in the rotation, is a multiple of q; the longest one is used.

    Source: Shepperd 1978.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = frames.transpose(1, 2, 0)
    products = (
        (1 + xx + yy + zz, zy - yz, xz - zx, yx - xy),
        (zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx),
        (xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy),
        (yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz),
    )
    longest = np.stack([products[i][i] for i in range(4)]).argmax(axis=0)
    rows = [np.choose(longest, [products[i][j] for i in range(4)]) for j in range(4)]
    quats = np.stack(rows, axis=1)
    return quats / np.linalg.norm(quats, axis=1, keepdims=True)


def _across(normals: np.ndarray) -> np.ndarray:
    """[n, 3] unit vectors perpendicular to normals [n, 3]."""
    axis = np.zeros_like(normals)
    axis[np.arange(len(normals)), np.abs(normals).argmin(axis=1)] = 1
    found = np.cross(normals, axis)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _ellipse(u: np.ndarray, v: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angle [n] of the longer axis, and spacings [n, 2]; neighbours are at (u, v) [n, k]."""
    count = weights.sum(axis=1) + 1
    mean_u, mean_v = (weights * u).sum(axis=1) / count, (weights * v).sum(axis=1) / count
    uu = (weights * u * u).sum(axis=1) / count - mean_u**2
    vv = (weights * v * v).sum(axis=1) / count - mean_v**2
    uv = (weights * u * v).sum(axis=1) / count - mean_u * mean_v
    middle, half = (uu + vv) / 2, np.hypot((uu - vv) / 2, uv)
    longer = np.sqrt(np.maximum(middle + half, 0))
    shorter = np.maximum(np.sqrt(np.maximum(middle - half, 0)), longer / _MOST_ELONGATED)
    axes = np.stack([longer, shorter], axis=1) * np.sqrt(4 * np.pi / count)[:, None]
    return np.arctan2(2 * uv, uu - vv) / 2, axes
