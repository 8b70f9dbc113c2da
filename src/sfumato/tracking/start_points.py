"""Initial points of the first step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError

from sfumato.capture.dataset import View
from sfumato.capture.multiview import MultiViewVideo
from sfumato.capture.points import PointCloud
from sfumato.capture.random_points import depth_scale, look, project, rays_through, spread_out
from sfumato.tracking.foreground import FEW_CAMERAS, Foreground
from sfumato.tracking.still_points import StillView, find_floor, still_points, upwards
from sfumato.tracking.vote import move_by_vote, move_sometime

_STILL_POINTS, _MOVING_POINTS = 32_000, 8_000
# Static points lie on rays outside the hull, up to this share farther than the exit point of the ray.
_BEYOND = 0.6
# Candidates for moving points, and the margin around the hull in which they are drawn, as a share of its
# size.
_CANDIDATES, _MARGIN = 1_000_000, 0.15
# A candidate is kept if something moves there for this share of the cameras that observe it.
_SHARE = 0.85
_MOST_LOOKED_AT = 16
# Candidates on rays of moving pixels, and the range of their depths as shares of the target's distance. The
# lowest moving point is this quantile of the heights, as a few outliers lie below the floor.
_ON_RAYS, _NEAR_SHARE, _FAR_SHARE, _LOWEST = 300_000, 0.3, 2.5, 0.02
# Cameras surround a point if the mean of the unit vectors from it to them is shorter than this; 0.5 for a
# dome.
_ONE_SIDED = 0.75


def start_points(video: MultiViewVideo, foreground: Foreground, *, seed: int) -> PointCloud:
    """Initial points of the first step.

    The dataset's own points are used if there are any. If the cameras surround their target, the space
    between them is mostly empty: static points begin on rays through random pixels at or beyond the convex
    hull of the cameras, moving points in the visual hull of the moving areas. Random points between the
    cameras would end as fog that fits each photograph separately. With few cameras, moving points begin in
    the visual hull on which all cameras agree, and static points on a floor and on a sphere around it.
    Otherwise, and if that visual hull is empty, points are random in the view frusta.

    Args:
        video: to track.
        foreground: moving areas of the video.
        seed: equal seeds give equal points.
    """
    if video.points is not None:
        return video.points
    rng = np.random.default_rng(seed)
    if len(video.train_cameras) < FEW_CAMERAS:
        return _on_a_stage(video, foreground, rng) or video.at(0).points
    hull = _hull_round_the_scene(video)
    if hull is None:
        return video.at(0).points
    views = video.at(0).train_views
    moving = _visual_hull(foreground, hull, rng)
    still = _beyond(views, hull, rng)
    xyz = np.concatenate([moving, still])
    return PointCloud(xyz.astype(np.float32), look(spread_out(views, _MOST_LOOKED_AT), xyz)[1])


def _on_a_stage(video: MultiViewVideo, foreground: Foreground, rng: np.random.Generator) -> PointCloud | None:
    """The visual hull of the moving areas, a floor and a sphere; None if the visual hull is empty."""
    still_views = []
    for number, (camera, moves) in enumerate(foreground.changing_at(0)):
        view = video.train_cameras[number].views[0]
        if view is not None and moves is not None:
            still_views.append(
                StillView(camera, view.load().rgb, foreground.background(number), ~moves.numpy())
            )
    moving = _hull_on_rays(still_views, rng)
    if not len(moving):
        return None
    middle, level = np.median(moving, axis=0), upwards(still_views)
    lowest = moving[np.argsort(moving @ level)[int(_LOWEST * len(moving))]]
    floor = find_floor(still_views, middle, lowest, level, rng)
    still, colours = still_points(still_views, middle, floor, _STILL_POINTS, rng)
    xyz = np.concatenate([moving, still])
    return PointCloud(xyz.astype(np.float32), np.concatenate([_nearest_colour(still_views, moving), colours]))


def _hull_on_rays(still_views: Sequence[StillView], rng: np.random.Generator) -> np.ndarray:
    """[n, 3] points on rays through moving pixels that project to moving pixels of all cameras."""
    poses = np.stack([still_view.camera.camera_from_world.numpy() for still_view in still_views])
    found = []
    for still_view, distance in zip(still_views, depth_scale(poses), strict=True):
        rows, columns = (~still_view.still).nonzero()
        if not len(rows):
            return np.zeros((0, 3))
        chosen = rng.integers(len(rows), size=_ON_RAYS // len(still_views))
        pixels = np.stack([columns[chosen], rows[chosen]], axis=1) + rng.random((len(chosen), 2))
        centre, rays = rays_through(still_view.camera, pixels)
        depths = distance * np.exp(rng.uniform(np.log(_NEAR_SHARE), np.log(_FAR_SHARE), len(rays)))
        found.append(centre + depths[:, None] * rays)
    xyz = np.concatenate(found)
    masks = [(still_view.camera, torch.from_numpy(~still_view.still)) for still_view in still_views]
    kept = xyz[move_by_vote(xyz, masks, 1.0)]
    return kept[rng.permutation(len(kept))[:_MOVING_POINTS]]


def _nearest_colour(still_views: Sequence[StillView], xyz: np.ndarray) -> np.ndarray:
    """[n, 3] uint8 from the nearest camera's photograph; a mean would mix both sides of an object."""
    nearest, colours = np.full(len(xyz), np.inf), np.full((len(xyz), 3), 128, np.uint8)
    for still_view in still_views:
        columns, rows, inside = project(still_view.camera, xyz)
        away = np.linalg.norm(xyz - still_view.camera.centre_world.numpy(), axis=1)
        nearer = inside & (away < nearest)
        nearest[nearer], colours[nearer] = away[nearer], still_view.rgb[rows[nearer], columns[nearer]]
    return colours


def _centres(video: MultiViewVideo) -> np.ndarray:
    return np.stack([camera.camera.centre_world.numpy() for camera in video.train_cameras]).astype(np.float64)


def _hull_round_the_scene(video: MultiViewVideo) -> ConvexHull | None:
    """The convex hull of the cameras and the point they look at; None if they do not surround it."""
    centres = _centres(video)
    axes = np.stack([camera.camera.camera_from_world[2, :3].numpy() for camera in video.train_cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    total = across.sum(axis=0)
    if np.linalg.eigvalsh(total)[0] < 1e-3 * len(axes):
        return None
    focus = np.linalg.solve(total, np.einsum("cij,cj->i", across, centres))
    outwards = centres - focus
    directions = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    looks_away = np.median(np.einsum("ci,ci->c", outwards, axes)) > 0
    if looks_away or not np.linalg.norm(directions.mean(axis=0)) < _ONE_SIDED:
        return None
    try:
        return ConvexHull(np.concatenate([centres, focus[None]]))
    except (QhullError, ValueError):
        return None


def _beyond(views: tuple[View, ...], hull: ConvexHull, rng: np.random.Generator) -> np.ndarray:
    """[n, 3] points on rays through random pixels, at or beyond their exit from the hull."""
    normals, offsets = hull.equations[:, :3], hull.equations[:, 3]
    size = float(np.linalg.norm(np.ptp(hull.points, axis=0)))
    which = rng.integers(len(views), size=_STILL_POINTS)
    found = []
    for number, view in enumerate(views):
        camera, count = view.camera, int((which == number).sum())
        pixels = rng.random((count, 2)) * camera.size_px
        centre, rays = rays_through(camera, pixels)
        approach = rays @ normals.T
        inside = np.maximum(-(centre @ normals.T + offsets), 0.0)
        leaves = np.where(approach > 1e-9, inside / np.maximum(approach, 1e-9), np.inf).min(axis=1)
        # Cameras are at corners of the hull: rays that leave it immediately get a least depth.
        depth = np.maximum(leaves, _MARGIN * size) * (1 + _BEYOND * rng.random(count))
        found.append(centre + depth[:, None] * rays)
    return np.concatenate(found)


def _visual_hull(foreground: Foreground, hull: ConvexHull, rng: np.random.Generator) -> np.ndarray:
    """[n, 3] points that project to moving pixels of nearly all cameras."""
    low, high = hull.points.min(axis=0), hull.points.max(axis=0)
    # The box is a cube as wide as the hull, as it must include the floor below a ring of cameras.
    middle, half = (low + high) / 2, (0.5 + _MARGIN) * (high - low).max()
    xyz = rng.uniform(middle - half, middle + half, (_CANDIDATES, 3))
    return xyz[move_sometime(xyz, foreground, _SHARE)][:_MOVING_POINTS]
