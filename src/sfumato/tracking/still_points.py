"""Initial static points for few cameras: a floor on which the cameras agree, and a sphere beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sfumato.capture.random_points import project, rays_through
from sfumato.scene.cameras import Camera

# Search range of the floor: slope in radians, height as a share of the cameras' distance, and grid size in
# each round, from coarse to fine. Below: number and radius of the points where correlations are computed.
_MOST_SLOPE, _MOST_SHIFT, _TRIED = 0.28, 0.08, (7, 3, 3, 3, 3)
_FLOOR_POINTS, _FLOOR_RADIUS, _LEAST_POINTS, _BLUR_PX = 4000, 0.5, 100, 2.0
# Cameras have no common up direction if the mean of their down axes is shorter than this.
_LEAST_MEAN = 0.3
# Least mean correlation between cameras for a floor.
_LEAST_CORRELATION = 0.25
# Other static points lie on spheres around the moving points, with these multiples of the farthest camera's
# distance as radii.
_NEAREST, _FARTHEST = 1.2, 1.6


@dataclass(frozen=True)
class StillView:
    """The view of one camera.

    Attributes:
        camera: a pinhole.
        rgb: uint8 [h, w, 3], the photograph.
        background: uint8 [h, w, 3], its median over time.
        still: [h, w] bool, where nothing moves.
    """

    camera: Camera
    rgb: np.ndarray
    background: np.ndarray
    still: np.ndarray


@dataclass(frozen=True)
class Plane:
    """The points x with normal·x = offset; the normal points up."""

    normal: np.ndarray
    offset: float


def still_points(
    views: Sequence[StillView],
    middle: np.ndarray,
    floor: Plane | None,
    count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Points on rays through random pixels, where they hit the floor or the sphere around the cameras.

    Args:
        views: of all cameras.
        middle: [3] median of the moving points.
        floor: None if there is none.
        count: approximate number of points.
        rng: of random numbers.

    Returns:
        (xyz [n, 3] world frame, rgb [n, 3] uint8).
    """
    radius = _radius(views, middle)
    found, colours = [], []
    for view in views:
        pixels = rng.random((count // len(views), 2)) * view.camera.size_px
        centre, rays = rays_through(view.camera, pixels)
        outside = centre - middle
        along, square = (rays * outside).sum(axis=1), (rays**2).sum(axis=1)
        limit = radius * rng.uniform(_NEAREST, _FARTHEST, len(rays))
        depths = (np.sqrt(along**2 - square * (outside @ outside - limit**2)) - along) / square
        if floor is not None:
            falls = rays @ floor.normal
            down = (floor.offset - centre @ floor.normal) / np.where(falls < 0, falls, -1e-12)
            depths = np.where((falls < 0) & (down > 0) & (down < depths), down, depths)
        columns, rows = pixels.astype(np.int64).T
        found.append(centre + depths[:, None] * rays)
        still = view.still[rows, columns, None]
        colours.append(np.where(still, view.rgb[rows, columns], view.background[rows, columns]))
    return np.concatenate(found), np.concatenate(colours)


def find_floor(
    views: Sequence[StillView],
    middle: np.ndarray,
    lowest: np.ndarray,
    level: np.ndarray,
    rng: np.random.Generator,
) -> Plane | None:
    """The nearly level plane near the lowest moving point on which the cameras agree best.

    All cameras see the same colours at points of the floor: brightness correlates between them.

    Args:
        views: of all cameras.
        middle: [3] median of the moving points.
        lowest: [3] lowest of the moving points.
        level: [3] unit vector upwards.
        rng: of random numbers.

    Returns:
        The floor; None if the correlation is too low.
    """
    if not level.any():
        return None
    radius = _radius(views, middle)
    along = np.linalg.svd(level[None])[2][1:]
    disc = rng.standard_normal((_FLOOR_POINTS, 2))
    lengths = _FLOOR_RADIUS * radius * np.sqrt(rng.random((_FLOOR_POINTS, 1)))
    disc *= lengths / np.linalg.norm(disc, axis=1, keepdims=True)
    blurred = [ndimage.gaussian_filter(view.rgb.mean(axis=2, dtype=np.float64), _BLUR_PX) for view in views]
    best, at, reach = -1.0, np.zeros(3), np.array([_MOST_SLOPE, _MOST_SLOPE, _MOST_SHIFT * radius])
    for tries in _TRIED:
        around, steps = at, np.linspace(-1, 1, tries)
        for place in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
            tried = around + place * reach
            points = disc[:: 2 if tries > 3 else 1]
            xyz = lowest + points @ along + (points @ tried[:2] + tried[2])[:, None] * level
            value = _agreement(views, blurred, xyz)
            if value > best:
                best, at = value, tried
        reach = reach / (4 if tries > 3 else 2)
    if best < _LEAST_CORRELATION:
        return None
    normal = level - at[:2] @ along
    normal /= np.linalg.norm(normal)
    return Plane(normal, float(normal @ (lowest + at[2] * level)))


def upwards(views: Sequence[StillView]) -> np.ndarray:
    """[3] unit vector: opposite to the mean down axis of the cameras; zeros if they have no common one."""
    axis = -np.mean([view.camera.camera_from_world[1, :3].numpy() for view in views], axis=0)
    length = np.linalg.norm(axis)
    return axis / length if length > _LEAST_MEAN else np.zeros(3)


def _agreement(views: Sequence[StillView], brightness: Sequence[np.ndarray], xyz: np.ndarray) -> float:
    """Mean correlation of brightness between pairs of cameras, at static points visible to both."""
    values, seen = [], []
    for view, grey in zip(views, brightness, strict=True):
        columns, rows, inside = project(view.camera, xyz)
        values.append(grey[rows, columns])
        seen.append(inside & view.still[rows, columns])
    total = weight = 0.0
    for i in range(len(views)):
        for j in range(i):
            both = seen[i] & seen[j]
            if both.sum() >= _LEAST_POINTS:
                one, other = values[i][both], values[j][both]
                spread = one.std() * other.std()
                if spread > 0:
                    total += both.sum() * float(((one - one.mean()) * (other - other.mean())).mean() / spread)
                weight += both.sum()
    return total / weight if weight else -1.0


def _radius(views: Sequence[StillView], middle: np.ndarray) -> float:
    """Distance of the farthest camera."""
    return max(float(np.linalg.norm(view.camera.centre_world.numpy() - middle)) for view in views)
