"""Random initial points for datasets without points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sfumato.capture.points import PointCloud
from sfumato.capture.readers.place_rounding import stand_in_one_place
from sfumato.maths.rigid import centres_of
from sfumato.scene.cameras import Camera
from sfumato.scene.lenses import Lens
from sfumato.scene.unprojection import distort_directions, undistort

if TYPE_CHECKING:
    from sfumato.capture.dataset import View

NUM_POINTS = 50_000
_NEAREST, _FARTHEST = 0.2, 2.5
_MAX_COUNTED, _MAX_LOOKED_AT = 48, 16
_ROUNDS = 6


def random_points(views: Sequence[View], *, seed: int, count: int = NUM_POINTS) -> PointCloud:
    """Random points in the volume that several cameras see.

    Candidates lie on rays through random pixels, at depths between 0.2 and 2.5 times the distance to the
    intersection of the optical axes (or the cameras' spread, if they do not intersect). A candidate is kept
    with a probability that grows with the square of the number of views that see it, and never if fewer than
    two do: the subject is what most pictures show. If pictures are transparent, points outside the
    silhouettes are dropped; further candidates then come from the bounding box of the rest. A point's colour
    is the mean over the decoded pictures.

    Args:
        views: training views; up to 16 of them are decoded, up to 48 counted.
        seed: equal seeds give equal points.
        count: maximum number of points.

    Returns:
        The points; at least one.
    """
    rng = np.random.default_rng(seed)
    counted, looked_at = spread_out(views, _MAX_COUNTED), spread_out(views, _MAX_LOOKED_AT)
    xyz = _on_rays(views, 2 * count, rng)
    times = _times_seen(counted, xyz)
    most = max(1.0, float(np.quantile(times, 0.99)))

    def survivors(candidates: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chance = np.where(times >= min(2, len(counted)), times / most, 0.0) ** 2
        kept = candidates[rng.random(len(candidates)) < chance]
        solid, rgb = look(looked_at, kept)
        return kept[solid], rgb[solid]

    parts = [survivors(xyz, times)]
    for _ in range(_ROUNDS):
        found = np.concatenate([part[0] for part in parts])
        if not 8 <= len(found) < count:
            break
        more = rng.uniform(found.min(axis=0), found.max(axis=0), (2 * count, 3))
        parts.append(survivors(more, _times_seen(counted, more)))
    found, rgb = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    if not len(found):
        found, rgb = xyz, look(looked_at, xyz)[1]
    return PointCloud(found[:count].astype(np.float32), rgb[:count])


def spread_out(views: Sequence[View], most: int) -> Sequence[View]:
    """At most ``most`` of the views, evenly spaced in their order."""
    return views[:: max(1, -(-len(views) // most))]


def depth_scale(poses: np.ndarray, *, looks: bool = True) -> np.ndarray:
    """[c] distance from each camera to the common target, scene units; 1 if it cannot be estimated.

    Args:
        poses: [c, 4, 4] camera_from_world.
        looks: whether to use the optical axes, which are meaningless for panoramas.
    """
    if stand_in_one_place(poses):
        return np.ones(len(poses))
    centres, axes = centres_of(poses), poses[:, 2, :3]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    # The least-squares intersection of the optical axes.
    total = across.sum(axis=0)
    spread = np.linalg.norm(centres - centres.mean(axis=0), axis=1).max()
    if looks and np.linalg.eigvalsh(total)[0] > 1e-3 * len(poses):
        focus = np.linalg.solve(total, np.einsum("cij,cj->i", across, centres))
        depth = np.einsum("ci,ci->c", focus - centres, axes)
        if np.median(depth) > 0:
            return np.maximum(depth, 0.5 * np.median(depth))
    return np.full(len(poses), 3.0 * spread)


def _on_rays(views: Sequence[View], count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, 3] points through random pixels of random cameras, uniform in log depth."""
    poses = np.stack([view.camera.camera_from_world.numpy() for view in views])
    which = rng.integers(len(views), size=count)
    cameras = [view.camera for view in views]
    intrinsics = np.array([(*c.focal_px, *c.centre_px, *c.size_px) for c in cameras])[which]
    focal_px, centre_px, size_px = intrinsics[:, 0:2], intrinsics[:, 2:4], intrinsics[:, 4:6]
    is_panorama = np.array([camera.lens.is_panorama for camera in cameras])
    scale = depth_scale(poses, looks=not is_panorama.any())
    depth = scale[which] * np.exp(rng.uniform(np.log(_NEAREST), np.log(_FARTHEST), count))
    ideal = (rng.random((count, 2)) * size_px - centre_px) / focal_px
    in_camera = np.concatenate([ideal, np.ones((count, 1))], axis=1)
    around = is_panorama[which]
    in_camera[around] = undistort(Lens("equirectangular"), ideal[around])
    in_camera *= depth[:, None]
    return np.einsum("nji,nj->ni", poses[which, :3, :3], in_camera - poses[which, :3, 3])


def project(camera: Camera, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(columns, rows) of the pixels of projected points, and whether they lie inside the picture, [n]
    each."""
    pose = camera.camera_from_world.numpy()
    in_camera = xyz @ pose[:3, :3].T + pose[:3, 3]
    in_front = in_camera[:, 2] > 1e-9
    if camera.lens.is_panorama:
        in_front, pixels = np.ones(len(xyz), bool), distort_directions(camera.lens, in_camera)
    else:
        pixels = in_camera[:, :2] / np.where(in_front, in_camera[:, 2], 1.0)[:, None]
    pixels = np.floor(pixels * camera.focal_px + camera.centre_px)
    inside = in_front & (pixels >= 0).all(axis=1) & (pixels < camera.size_px).all(axis=1)
    columns, rows = np.where(inside[:, None], pixels, 0).astype(np.int64).T
    return columns, rows, inside


def rays_through(camera: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rays of an ideal pinhole camera, world frame.

    Args:
        camera: an ideal pinhole.
        pixels: [n, 2] positions; the centre of the first pixel is (0.5, 0.5).

    Returns:
        (centre of the camera [3], rays [n, 3] that reach depth 1).
    """
    plane = (pixels - camera.centre_px) / np.array(camera.focal_px)
    rotation = camera.camera_from_world[:3, :3].numpy()
    return camera.centre_world.numpy(), np.concatenate([plane, np.ones((len(pixels), 1))], axis=1) @ rotation


def _times_seen(views: Sequence[View], xyz: np.ndarray) -> np.ndarray:
    return np.array([project(view.camera, xyz)[2] for view in views]).sum(axis=0, dtype=np.int64)


def look(views: Sequence[View], xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether points [n] may be solid, and their mean colours [n, 3] uint8 over the views.

    Space carving: a solid point projects into the picture of at least half of the transparent views, and into
    the silhouette wherever it projects into the picture.
    """
    solid, silhouettes, transparent = np.ones(len(xyz), bool), np.zeros(len(xyz)), 0
    total, times = np.zeros((len(xyz), 3)), np.zeros(len(xyz))
    for view in views:
        pixels = view.load()
        columns, rows, inside = project(view.camera, xyz)
        colour = pixels.rgb[rows, columns].astype(np.float64)
        weight = inside.astype(np.float64)
        if pixels.alpha is not None:
            alpha = pixels.alpha[rows, columns]
            solid &= ~inside | (alpha > 0)
            silhouettes += inside
            transparent += 1
            colour *= 255.0 / np.maximum(alpha, 1)[:, None]
            weight *= alpha > 0
        if pixels.mask is not None:
            weight *= pixels.mask[rows, columns]
        total += colour * weight[:, None]
        times += weight
    solid &= silhouettes >= transparent / 2
    rgb = np.where(times[:, None] > 0, total / np.maximum(times, 1)[:, None], 128.0)
    return solid, np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
