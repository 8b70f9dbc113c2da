"""Fusion of depth images: a truncated signed distance in sparse blocks, and points on its surface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.meshing.view_depths import ViewDepth
from sfumato.scene.cameras import Camera

Report = Callable[[int, int], None]

# Edge of a block in voxels, and the distance at which signed distances are cut off.
BLOCK, _TRUNCATION = 8, 5.0
# Edge of a voxel as a share of the median depth of the views, and the farthest surface as a multiple of it.
_VOXEL, _FARTHEST = 0.006, 5.0
# More blocks than this make the voxels larger.
_MOST_BLOCKS = 60_000
# Numbers of blocks in the box around all of them that integers can count.
_MOST_CELLS = 2.0**60
_BLOCKS_AT_ONCE = 512
# Between two neighbouring voxels on a surface the distance changes by a fifth of the truncation; much more is
# the border between seen and unseen.
_LARGEST_STEP = 0.6
# A voxel is on a surface that as many views agree on as are in front of it.
_LEAST_AGREEING = 0.3


@dataclass(frozen=True)
class SurfacePoints:
    """Points on the fused surface.

    Attributes:
        xyz: [n, 3] float64, world frame, scene units.
        normals: [n, 3] float64 unit vectors towards the side from which the surface is seen.
        voxel: their spacing, scene units.
    """

    xyz: np.ndarray
    normals: np.ndarray
    voxel: float


def fuse(views: Sequence[ViewDepth], least_views: int, report: Report) -> SurfacePoints:
    """Fuse depth images to points on the surface on which several of them agree.

    Args:
        views: with depth.
        least_views: how many have to see a point.
        report: called with how many are done, and how many there are.

    Raises:
        ConfigError: there is no such point.

    Source: Curless and Levoy 1996.
    """
    depths = torch.cat([view.depth[view.depth > 0] for view in views])
    if not len(depths):
        raise ConfigError("no view shows a surface; a mesh needs a scene that the cameras see")
    depth = float(depths.median())
    points = [_points(view, depth * _FARTHEST) for view in views]
    voxel = _VOXEL * depth
    while len(blocks := _blocks(points, voxel, least_views)) > _MOST_BLOCKS:
        voxel *= 1.25
    if not len(blocks):
        raise ConfigError(f"no surface is seen by {least_views} views that agree; give more photographs")
    distance, seen = _integrated(views, blocks, voxel, least_views, report)
    return _crossings(blocks, distance, seen, voxel)


def _points(view: ViewDepth, farthest: float) -> Tensor:
    """[n, 3] float64 points of a depth image, world frame."""
    rows, columns = ((view.depth > 0) & (view.depth < farthest)).nonzero(as_tuple=True)
    depth, camera = view.depth[rows, columns].double(), view.camera
    x = (columns + 0.5 - camera.centre_px[0]) / camera.focal_px[0]
    y = (rows + 0.5 - camera.centre_px[1]) / camera.focal_px[1]
    seen = torch.stack([x * depth, y * depth, depth], 1)
    pose = camera.camera_from_world.double()
    return (seen - pose[:3, 3]) @ pose[:3, :3]


def _blocks(points: Sequence[Tensor], voxel: float, least_views: int) -> np.ndarray:
    """[b, 3] sorted places of the blocks around what enough views see, in blocks."""
    edge = BLOCK * voxel
    places = [(one / edge).floor().long().numpy() for one in points]
    around = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    low = np.min([one.min(0) for one in places if len(one)], axis=0) - 1
    size = np.max([one.max(0) for one in places if len(one)], axis=0) + 2 - low
    if float(np.prod(size.astype(np.float64))) > _MOST_CELLS:
        return np.zeros((_MOST_BLOCKS + 1, 3), np.int64)
    keys = [np.unique(np.ravel_multi_index((one - low).T, size)) for one in places]
    found, counts = np.unique(np.concatenate(keys), return_counts=True)
    kept = np.stack(np.unravel_index(found[counts >= least_views], size), -1)
    grown = np.unique(np.ravel_multi_index((kept + around).reshape(-1, 3).T, size))
    return np.stack(np.unravel_index(grown, size), -1) + low


def _integrated(
    views: Sequence[ViewDepth], blocks: np.ndarray, voxel: float, least_views: int, report: Report
) -> tuple[Tensor, Tensor]:
    """[b, 8, 8, 8] mean signed distance, in truncations, and whether enough views see a voxel near it."""
    shape = (len(blocks), BLOCK, BLOCK, BLOCK)
    distance, seen = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    starts = range(0, len(blocks), _BLOCKS_AT_ONCE)
    for number, start in enumerate(starts):
        part = slice(start, start + _BLOCKS_AT_ONCE)
        middles = torch.from_numpy((blocks[part] + 0.5) * (BLOCK * voxel))
        total, weight, near = (torch.zeros(len(middles), BLOCK**3) for _ in range(3))
        for view in views:
            _add(view, middles, voxel, (total, weight, near))
        agreeing = (near >= least_views) & (near >= _LEAST_AGREEING * weight)
        distance[part] = (total / weight.clamp_min(1)).reshape(-1, *shape[1:])
        seen[part] = agreeing.reshape(-1, *shape[1:])
        report(number + 1, len(starts))
    return distance, seen


def _add(view: ViewDepth, middles: Tensor, voxel: float, sums: tuple[Tensor, Tensor, Tensor]) -> None:
    """Add the signed distances of a view to the sums [b, v] of those blocks [b, 3] that it sees."""
    pose = view.camera.camera_from_world.double()
    seen = middles @ pose[:3, :3].T + pose[:3, 3]
    rows = _in_view(view.camera, seen, BLOCK * voxel).nonzero()[:, 0]
    if not len(rows):
        return
    steps = (torch.arange(BLOCK) + 0.5 - BLOCK / 2) * voxel
    inner = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    inner = (inner.double() @ pose[:3, :3].T).float()
    x, y, z = (seen[rows, axis].float()[:, None] + inner[:, axis] for axis in range(3))
    at, within = view.pixels_of(x, y, z)
    depth = torch.where(within, view.depth.flatten()[at], 0.0)
    distance = (depth - z) / (_TRUNCATION * voxel)
    counts = (depth > 0) & (distance > -1)
    total, weight, near = sums
    total[rows] += torch.where(counts, distance.clamp_max(1), 0.0)
    weight[rows] += counts
    near[rows] += counts & (distance < 1)


def _in_view(camera: Camera, seen: Tensor, radius: float) -> Tensor:
    """[n] bool: spheres about [n, 3], camera frame, that may reach into the picture."""
    inside = seen[:, 2] > -radius
    for axis in (0, 1):
        side, centre, focal = camera.size_px[axis], camera.centre_px[axis], camera.focal_px[axis]
        farthest = max(centre, side - centre) / focal
        inside &= seen[:, axis].abs() < farthest * seen[:, 2] + radius * (1 + farthest**2) ** 0.5
    return inside


def _crossings(blocks: np.ndarray, distance: Tensor, seen: Tensor, voxel: float) -> SurfacePoints:
    """Where the signed distance changes its sign between neighbouring voxels, with its gradient."""
    xyz, normals = [], []
    rows_of = _Lookup(blocks)
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        part = blocks[start : start + _BLOCKS_AT_ONCE]
        value, known = (_padded(part, rows_of, one.numpy()) for one in (distance, seen))
        gradient = np.stack([_central(value, axis) for axis in (1, 2, 3)], -1)
        core = (slice(None), *[slice(1, BLOCK + 1)] * 3)
        for axis in (1, 2, 3):
            after = tuple(slice(2, BLOCK + 2) if number == axis else one for number, one in enumerate(core))
            here, there = value[core], value[after]
            cut = known[core] & known[after] & ((here > 0) != (there > 0))
            cut &= np.abs(here - there) < _LARGEST_STEP
            at = np.nonzero(cut)
            share = here[cut] / (here[cut] - there[cut])
            place = (part[at[0]] * BLOCK + np.stack(at[1:], 1) + 0.5).astype(np.float64)
            place[:, axis - 1] += share
            normal = gradient[core][cut] * (1 - share)[:, None] + gradient[after][cut] * share[:, None]
            # Central differences reach over two voxels, this one over one.
            normal[:, axis - 1] = 2 * (there - here)[cut]
            length = np.linalg.norm(normal, axis=1)
            keep = length > 0
            xyz.append(place[keep] * voxel)
            normals.append(normal[keep] / length[keep, None])
    found = SurfacePoints(np.concatenate(xyz), np.concatenate(normals).astype(np.float64), voxel)
    if not len(found.xyz):
        raise ConfigError(
            "the views do not agree on a surface; a mesh needs a scene that several views show consistently"
        )
    return found


class _Lookup:
    """Rows of blocks by their places."""

    def __init__(self, blocks: np.ndarray) -> None:
        self._low = blocks.min(0) - 1
        self._size = blocks.max(0) + 2 - self._low
        self._keys = self._key(blocks)

    def _key(self, places: np.ndarray) -> np.ndarray:
        x, y, z = (places - self._low).T
        return (x * self._size[1] + y) * self._size[2] + z

    def __call__(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The row of each place, and whether it is there."""
        keys = self._key(places)
        rows = np.searchsorted(self._keys, keys).clip(0, len(self._keys) - 1)
        return rows, self._keys[rows] == keys


def _padded(part: np.ndarray, rows_of: _Lookup, values: np.ndarray) -> np.ndarray:
    """[b, 10, 10, 10] values of blocks with those of their neighbours around; 0 where there are none."""
    found = np.zeros((len(part), *[BLOCK + 2] * 3), values.dtype)
    into = {-1: slice(0, 1), 0: slice(1, BLOCK + 1), 1: slice(BLOCK + 1, BLOCK + 2)}
    out_of = {-1: slice(BLOCK - 1, BLOCK), 0: slice(None), 1: slice(0, 1)}
    for side in np.ndindex(3, 3, 3):
        step = [one - 1 for one in side]
        rows, there = rows_of(part + np.array(step))
        source: tuple[Any, ...] = (rows[there], *(out_of[one] for one in step))
        target: tuple[Any, ...] = (there, *(into[one] for one in step))
        found[target] = values[source]
    return found


def _central(value: np.ndarray, axis: int) -> np.ndarray:
    """Central differences along an axis; 0 at the border, which is not used."""
    change = np.zeros_like(value)
    middle, before, after = ([slice(None)] * 4 for _ in range(3))
    middle[axis], before[axis], after[axis] = slice(1, -1), slice(0, -2), slice(2, None)
    change[tuple(middle)] = value[tuple(after)] - value[tuple(before)]
    return change
