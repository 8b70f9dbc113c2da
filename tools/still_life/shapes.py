"""Triangle meshes made from formulas: surfaces of revolution, tubes, rings, boxes, leaves, cloth.

Lengths are metres, z is up. Every surface carries texture coordinates: u runs right and v runs
down the picture of its texture, both in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: [n, 3] float64, world frame.
        faces:    [f, 3] int64 indices into ``vertices``.
        uv:       [n, 2] texture coordinates.
        smooth:   normals are averaged over neighbouring faces; False keeps facets.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    smooth: bool = True

    def moved(self, offset=(0, 0, 0), rotation=None, scale=1.0) -> Mesh:
        """Scale, then rotate (3x3), then shift."""
        rotation = np.eye(3) if rotation is None else rotation
        moved = (self.vertices * scale) @ np.asarray(rotation).T + np.asarray(offset, float)
        return Mesh(moved, self.faces, self.uv, self.smooth)

    def normals(self) -> np.ndarray:
        """[n, 3] unit vertex normals; vertices at the same place share one."""
        corners = self.vertices[self.faces]
        face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        _, place = np.unique(np.round(self.vertices, 6), axis=0, return_inverse=True)
        total = np.zeros((place.max() + 1, 3))
        for corner in range(3):
            np.add.at(total, place.ravel()[self.faces[:, corner]], face_normals)
        normals = total[place.ravel()]
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def merge(meshes) -> Mesh:
    """One mesh out of several that share a material."""
    meshes = list(meshes)
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
        np.concatenate([m.uv for m in meshes]),
        meshes[0].smooth,
    )


def rotation_about(axis, angle_rad: float) -> np.ndarray:
    """[3, 3] right-handed rotation about ``axis``."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross


def rotation_to(direction, twist_rad: float = 0.0) -> np.ndarray:
    """[3, 3] rotation that turns +z to ``direction`` after a twist about +z."""
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    x = np.cross([0, 1, 0] if abs(z[1]) < 0.9 else [1, 0, 0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1) @ rotation_about((0, 0, 1), twist_rad)


def grid(points: np.ndarray) -> Mesh:
    """The surface through ``points`` [rows, columns, 3]; v follows rows, u columns."""
    rows, columns = points.shape[:2]
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return Mesh(points.reshape(-1, 3), faces, np.stack([u, v], -1).reshape(-1, 2))


def quad(corner, right, down) -> Mesh:
    """A flat rectangle from its top left corner; ``right`` and ``down`` are its edges."""
    corner, right, down = (np.asarray(value, float) for value in (corner, right, down))
    return grid(np.array([[corner, corner + right], [corner + down, corner + right + down]]))


def smooth_profile(knots, samples: int = 96) -> np.ndarray:
    """[samples, 2] (radius, height) curve through ``knots`` (monotone pieces, no overshoot)."""
    knots = np.asarray(knots, float)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    return PchipInterpolator(along, knots)(np.linspace(0, along[-1], samples))


def revolve(profile: np.ndarray, segments: int = 96, wobble=None) -> Mesh:
    """Turn a (radius, height) curve, top first, about z; ``wobble(angle, height)`` scales radii."""
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    radius = np.broadcast_to(profile[:, :1], (len(profile), segments + 1))
    height = np.broadcast_to(profile[:, 1:], radius.shape)
    if wobble is not None:
        radius = radius * wobble(angle[None], height)
    surface = grid(np.stack([radius * np.cos(angle), radius * np.sin(angle), height], -1))
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    surface.uv[:, 1] = np.repeat(along / along[-1], segments + 1)
    return surface


def tube(path: np.ndarray, radii, segments: int = 8) -> Mesh:
    """A round tube along ``path`` [m, 3] with a radius at each point."""
    path = np.asarray(path, float)
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(tangents[0], [0.31, 0.87, 0.38])
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    rings = []
    for centre, tangent, radius in zip(path, tangents, np.broadcast_to(radii, len(path)), strict=True):
        side = side - tangent * (side @ tangent)
        side /= np.linalg.norm(side)
        other = np.cross(tangent, side)
        rings.append(centre + radius * (np.cos(angle)[:, None] * side - np.sin(angle)[:, None] * other))
    return grid(np.array(rings))


def ring(radius: float, thickness: float, width: float, segments: int = 96) -> Mesh:
    """A hoop about z with an elliptic section: ``thickness`` radially, ``width`` along z."""
    around, section = np.meshgrid(
        np.linspace(0, 2 * np.pi, segments + 1), np.linspace(0, -2 * np.pi, 13), indexing="ij"
    )
    distance = radius + thickness / 2 * np.cos(section)
    height = width / 2 * np.sin(section)
    return grid(np.stack([distance * np.cos(around), distance * np.sin(around), height], -1))


def box(size, centre=(0, 0, 0)) -> Mesh:
    """An axis-aligned block with facets; the texture covers each side."""
    sx, sy, sz = np.asarray(size, float) / 2
    faces = [
        quad((-sx, sy, sz), (2 * sx, 0, 0), (0, -2 * sy, 0)),
        quad((-sx, -sy, -sz), (2 * sx, 0, 0), (0, 2 * sy, 0)),
        quad((-sx, -sy, sz), (2 * sx, 0, 0), (0, 0, -2 * sz)),
        quad((sx, sy, sz), (-2 * sx, 0, 0), (0, 0, -2 * sz)),
        quad((sx, -sy, sz), (0, 2 * sy, 0), (0, 0, -2 * sz)),
        quad((-sx, sy, sz), (0, -2 * sy, 0), (0, 0, -2 * sz)),
    ]
    whole = merge(faces).moved(centre)
    return Mesh(whole.vertices, whole.faces, whole.uv, smooth=False)


def ball(radius: float, rows: int = 24) -> Mesh:
    """A sphere as a surface of revolution."""
    angle = np.linspace(0, np.pi, rows)
    return revolve(radius * np.stack([np.sin(angle), np.cos(angle)], -1), 2 * rows)


def leaf(length: float, width: float, bend: float, fold: float = 0.25) -> Mesh:
    """A pointed leaf from the origin along +x, its face up, drooping by ``bend`` radians."""
    t = np.linspace(0, 1, 15)[:, None]
    s = np.linspace(-1, 1, 9)[None]
    half = width / 2 * np.sin(np.pi * t**0.75) * (1 - 0.35 * t)
    angle = bend * t
    wave = 0.04 * width * np.sin(9 * t + 2 * s)
    x = length * np.sin(angle) / bend + 0 * s
    z = -length * (1 - np.cos(angle)) / bend + fold * half * np.abs(s) + wave * np.abs(s)
    mesh = grid(np.stack([x, half * s, z], -1))
    return Mesh(mesh.vertices, mesh.faces[:, ::-1], mesh.uv[:, ::-1])


def draped_cloth(length: float, on_table: float, width: float, folds: int, seed: int) -> Mesh:
    """A runner that lies on the table for y > 0 and hangs in folds over its edge at y = 0.

    ``length`` runs along x; it reaches ``on_table`` inwards and ``width - on_table`` down.
    """
    rng = np.random.default_rng(seed)
    u, arc = np.meshgrid(np.linspace(0, 1, 161), np.linspace(on_table, on_table - width, 141), indexing="xy")
    x = (u - 0.5) * length
    phase = 2 * np.pi * folds * (u + 0.035 * np.sin(2 * np.pi * u * 1.3 + 1)) + 0.5 * arc
    down = np.clip(-arc, 0, None)
    fold = (0.5 + 0.5 * np.sin(phase)) * (1 + 0.4 * np.sin(2.3 * np.pi * u + 0.6))
    amplitude = 0.040 * (1 - np.exp(-down / 0.10))
    ripple = np.zeros_like(x)
    for _ in range(14):
        k = rng.normal(size=2) * (18, 13)
        ripple += rng.uniform(0.2, 1) * np.sin(k[0] * x + k[1] * arc + rng.uniform(0, 6.3))
    lie = 0.0040 + 0.0026 * np.clip(ripple / 2.2, -1.5, 1.5)
    lie += 0.010 * np.exp(-(((arc - 0.05) / 0.05) ** 2)) * fold * np.clip(arc / 0.05, 0, 1)
    for crease in (-0.16, 0.16):
        lie += 0.0035 * np.exp(-np.abs(x - crease) / 0.022)
    lie += 0.0035 * np.exp(-np.abs(arc - 0.22) / 0.022)
    radius = 0.012
    bent = np.clip(down / radius, 0, np.pi / 2)
    y = np.where(arc > 0, arc, -radius * np.sin(bent)) - amplitude * fold
    z = np.where(
        arc > 0, lie, lie - radius * (1 - np.cos(bent)) - np.clip(down - radius * np.pi / 2, 0, None)
    )
    x = x * (1 - 0.10 * np.clip(down / 0.4, 0, 1)) + 0.25 * amplitude * np.cos(phase)
    return grid(np.stack([x, y, z], -1))
