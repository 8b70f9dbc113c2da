"""Orbits: circles around the point that the cameras look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sfumato.errors import ConfigError
from sfumato.maths.rigid import centres_of
from sfumato.paths.look import Y_DOWN, field_of_view_deg, looking_at, pinhole
from sfumato.scene.cameras import Camera

DEFAULT_FOV_DEG = 50.0
# Widest gap between cameras that an orbit may cross.
_WIDEST_GAP = np.radians(60.0)
# Thresholds for level cameras: variances of their x axes across and within a plane, agreement of its normal
# with their mean up axis.
_FLAT, _SPREAD, _AGREED = 0.05, 0.1, 0.3
# Cameras closer together than this, or than this share of their coordinates, count as one position.
_ROUNDING, _PRECISION = 1e-12, float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Orbit:
    """A circular path of an inward-looking camera.

    Attributes:
        target: [3] point that the camera looks at, world frame.
        start: [3] first position.
        up: [3] unit vector, the axis of the circle.
        fov_deg: vertical field of view.
        covered_rad: angles from ``start`` between which the scene was photographed.
    """

    target: np.ndarray
    start: np.ndarray
    up: np.ndarray
    fov_deg: float
    covered_rad: tuple[float, float] = (-np.pi, np.pi)

    @property
    def is_covered(self) -> bool:
        """Whether photographs were taken all around, up to a gap of at most 60 degrees."""
        first, last = self.covered_rad
        return bool(last - first >= 2 * np.pi - _WIDEST_GAP)

    def cameras(self, count: int, size_px: tuple[int, int]) -> tuple[Camera, ...]:
        """Cameras evenly along the whole circle, counter-clockwise seen from above.

        Args:
            count: number of cameras; the next one would be the first again.
            size_px: (width, height).
        """
        return self._at(np.arange(count) * (2 * np.pi / count), size_px)

    def swing(self, count: int, size_px: tuple[int, int]) -> tuple[Camera, ...]:
        """Cameras back and forth on the side of the circle that was photographed.

        Args:
            count: number of cameras; the next one would be the first again.
            size_px: (width, height).
        """
        first, last = self.covered_rad
        phase = np.arange(count) * (2 * np.pi / count)
        return self._at((first + last) / 2 + (last - first) / 2 * np.sin(phase), size_px)

    def _at(self, angles: np.ndarray, size_px: tuple[int, int]) -> tuple[Camera, ...]:
        poses = [looking_at(self.at(angle), self.target, self.up) for angle in angles]
        return tuple(pinhole(pose, size_px, self.fov_deg) for pose in poses)

    def at(self, angle: float) -> np.ndarray:
        """[3] the position at an angle from the start, radians."""
        arm = self.start - self.target
        rise = (arm @ self.up) * self.up
        across = arm - rise
        beside = np.cross(self.up, across)
        return self.target + rise + np.cos(angle) * across + np.sin(angle) * beside

    def part(self, first: float, last: float) -> Orbit:
        """The same circle with another covered range, given by two angles from the start.

        Args:
            first: radians, at most 0.
            last: radians, at least 0; two pi more than the first if all is covered.
        """
        if last - first >= 2 * np.pi - 1e-9:
            return replace(self, covered_rad=(-np.pi, np.pi))
        # The rest must count as a gap: the covered range is limited to less than the circle without one.
        share = min(1.0, 0.999 * (2 * np.pi - _WIDEST_GAP) / (last - first))
        return replace(self, covered_rad=(share * first, share * last))

    def covers(self, angles: np.ndarray) -> np.ndarray:
        """Whether the scene was photographed from angles [k] from the start; gaps of 60 degrees count."""
        first, last = self.covered_rad
        return self.is_covered | ((angles - first) % (2 * np.pi) <= last - first)


def orbit_of_cameras(cameras: Sequence[Camera], up: Sequence[float] | None = None) -> Orbit:
    """The circle at the height and distance of given cameras, around the point they look at.

    Args:
        cameras: one or more.
        up: (x, y, z) upwards; by default from the orientation of the cameras.

    Raises:
        ConfigError: there is no camera, or ``up`` is zero.
    """
    if not cameras:
        raise ConfigError("an orbit needs a camera to take its distance from; there is none")
    poses = np.stack([camera.camera_from_world.detach().double().numpy() for camera in cameras])
    rotations, centres = poses[:, :3, :3], centres_of(poses)
    axis = _upwards(rotations) if up is None else axis_of(up)
    target = _nearest_to_lines(centres, rotations[:, 2])
    arms = centres - target
    rise = np.median(arms @ axis)
    across = arms - (arms @ axis)[:, None] * axis
    distance = np.median(np.linalg.norm(across, axis=1))
    begin = _unit(across[0] / (distance or 1.0), np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))]))
    first, last = _covered(across, begin, np.cross(axis, begin))
    start = target + rise * axis + (distance or 1.0) * begin
    fov_deg = float(np.median([field_of_view_deg(camera) for camera in cameras]))
    return Orbit(target, start, axis, fov_deg, (first, last))


def axis_of(up: Sequence[float]) -> np.ndarray:
    """[3] unit vector of a direction.

    Raises:
        ConfigError: it is zero.
    """
    axis = np.asarray(up, np.float64)
    if not 0 < np.linalg.norm(axis) < np.inf:
        raise ConfigError(f"up is {[*up]}; give a direction, such as 0 -1 0")
    return axis / np.linalg.norm(axis)


def side_of(axis: np.ndarray) -> np.ndarray:
    """[3] unit vector perpendicular to an axis: the side from which a scene without cameras is viewed.

    In the world frame of structure from motion the first camera looks along +z and lies on this side.
    """
    side = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    return _unit(np.array([0.0, 0.0, -1.0]) + axis * axis[2], side)


def _upwards(rotations: np.ndarray) -> np.ndarray:
    """[3] up direction: perpendicular to the x axes of level cameras.

    If these are nearly parallel, or the cameras are tilted, the mean of the up axes of the images.
    """
    mean = _unit(-rotations[:, 1].mean(axis=0), np.asarray(Y_DOWN))
    spread, axes = np.linalg.eigh(np.einsum("ni,nj->ij", rotations[:, 0], rotations[:, 0]) / len(rotations))
    is_level = spread[0] < _FLAT and spread[1] > _SPREAD and abs(axes[:, 0] @ mean) > _AGREED
    return axes[:, 0] * np.sign(axes[:, 0] @ mean) if is_level else mean


def _covered(across: np.ndarray, begin: np.ndarray, beside: np.ndarray) -> tuple[float, float]:
    """The range of angles, measured from ``begin``, that directions [n, 3] cover: all but the widest gap."""
    angles = np.sort(np.arctan2(across @ beside, across @ begin))
    gaps = np.diff([*angles, angles[0] + 2 * np.pi])
    widest = int(gaps.argmax())
    first = float(angles[(widest + 1) % len(angles)])
    return first, first + 2 * np.pi - float(gaps[widest])


def _nearest_to_lines(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """[3] least-squares intersection of lines [n, 3].

    If the lines are nearly parallel, a point ahead of the cameras at twice their spread.
    """
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    whole = across.sum(axis=0)
    middle, ahead = points.mean(axis=0), directions.mean(axis=0)
    spread = float(np.linalg.norm(points - middle, axis=1).max())
    if spread <= max(_ROUNDING, _PRECISION * float(np.linalg.norm(middle))):
        # Cameras at one position determine no distance; an arbitrary one is used.
        return middle + 2.0 * _unit(ahead, directions[0])
    if np.linalg.eigvalsh(whole)[0] > 1e-3 * len(points):
        found = np.linalg.solve(whole, np.einsum("nij,nj->i", across, points))
        # The lines of outward-looking cameras intersect behind them: there is no common target.
        if np.median(np.einsum("ni,ni->n", found - points, directions)) > 0:
            return found
    return middle + 2 * spread * _unit(ahead, directions[0])


def _unit(vector: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    if length > 1e-9:
        return vector / length
    return otherwise / np.linalg.norm(otherwise)
