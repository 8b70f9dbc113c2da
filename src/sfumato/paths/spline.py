"""Smooth paths through given cameras: cubic splines of positions and rotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation, RotationSpline

from sfumato.errors import ConfigError
from sfumato.paths.look import refitted
from sfumato.scene.cameras import Camera

# Samples per segment for its length.
_FINE = 32
# Weight of rotation in the path length, so that a camera that only rotates takes time too.
_TURN_SHARE = 0.1
# The order of names is replaced if another order is shorter by this factor.
_SHORTER = 0.5


def through(
    keys: Sequence[Camera], count: int, *, times_s: Sequence[float] | None = None, closed: bool = False
) -> tuple[Camera, ...]:
    """Cameras along a smooth path through key cameras.

    Args:
        keys: cameras to pass through; their images get the size of the first.
        count: number of cameras, including both ends of the path.
        times_s: time at each key, ascending; by default the speed is constant.
        closed: return to the first key; the next camera after the last would be the first again.

    Returns:
        The cameras.

    Raises:
        ConfigError: there is no key or no frame, or the times do not ascend.
    """
    if not keys or count < 1:
        raise ConfigError(f"a path needs a key camera and a frame; there are {len(keys)} and {count}")
    if times_s is not None and (len(times_s) != len(keys) or (np.diff(times_s) <= 0).any()):
        raise ConfigError("the times of key cameras must ascend, one each; sort them")
    size_px = keys[0].size_px
    keys = [refitted(key, size_px) for key in keys]
    if len(keys) == 1:
        return (keys[0],) * count
    if closed:
        keys = [*keys, keys[0]]
        step = (times_s[-1] - times_s[0]) / (len(times_s) - 1) if times_s is not None else 0.0
        times_s = None if times_s is None else [*times_s, times_s[-1] + step]
    path = _Path(keys, times_s, closed)
    first, last = path.knots[0], path.knots[-1]
    if times_s is not None:
        return path.cameras(np.linspace(first, last, count, endpoint=not closed))
    fine = np.linspace(first, last, _FINE * (len(keys) - 1) + 1)
    way = np.concatenate([[0.0], np.cumsum(path.steps(fine))])
    wanted = np.linspace(0.0, way[-1], count, endpoint=not closed)
    return path.cameras(np.interp(wanted, way, fine) if way[-1] > 0 else np.full(count, first))


def along_cameras(cameras: Sequence[Camera], count: int, *, smooth: float = 2.0) -> tuple[Camera, ...]:
    """The path of the capturing camera, smoothed, at constant speed.

    Args:
        cameras: in the order of their names. Unordered photographs are visited on a short tour.
        count: number of cameras.
        smooth: standard deviation of the smoothing, in cameras; 0 passes through every one.

    Returns:
        The cameras, of the size of the first.

    Raises:
        ConfigError: there is no camera or no frame.
    """
    if not cameras:
        raise ConfigError("the training path needs cameras; there is none")
    centres = np.stack([camera.centre_world.detach().double().numpy() for camera in cameras])
    ordered = [cameras[i] for i in _order(centres)]
    if smooth <= 0 or len(ordered) < 3:
        return through(ordered, count)
    quats = _rotations(ordered).as_quat()
    for i in range(1, len(quats)):
        quats[i] *= np.sign(quats[i] @ quats[i - 1]) or 1.0
    turns = Rotation.from_quat(gaussian_filter1d(quats, smooth, axis=0, mode="nearest")).as_matrix()
    places = gaussian_filter1d(np.stack([_centre(c) for c in ordered]), smooth, axis=0, mode="nearest")
    size_px = ordered[0].size_px
    refit = [refitted(camera, size_px) for camera in ordered]
    # Keys close together are thinned out: a spline through dense points would jitter.
    kept = _spread(places, max(2, round(len(places) / max(1.0, smooth))))
    keys = [_placed(refit[i], turns[i], places[i]) for i in kept]
    return through(keys, count)


class _Path:
    """Position, rotation and intrinsics as functions of one parameter."""

    def __init__(self, keys: Sequence[Camera], times_s: Sequence[float] | None, closed: bool) -> None:
        centres, turns = np.stack([_centre(key) for key in keys]), _rotations(keys)
        angles = (turns[1:] * turns[:-1].inv()).magnitude()
        reach = np.linalg.norm(centres - centres.mean(axis=0), axis=1).max()
        self._per_turn = _TURN_SHARE * reach if reach > 0 else 1.0
        if times_s is None:
            chords = np.linalg.norm(np.diff(centres, axis=0), axis=1) + self._per_turn * angles
            # Keys at the same position still need distinct parameters.
            chords = np.maximum(chords, max(1e-6 * chords.sum(), 1e-12))
            self.knots = np.concatenate([[0.0], np.cumsum(np.sqrt(chords * chords.mean()))])
        else:
            self.knots = np.asarray(times_s, np.float64)
        ends = "periodic" if closed else "natural"
        self._first = keys[0]
        self._places = CubicSpline(self.knots, centres, bc_type=ends)
        self._turns = RotationSpline(self.knots, turns)
        lens = [(*np.log(key.focal_px), *key.centre_px) for key in keys]
        self._lenses = PchipInterpolator(self.knots, np.array(lens))

    def steps(self, at: np.ndarray) -> np.ndarray:
        """[m - 1] path lengths between parameters [m], with rotation included."""
        turns = self._turns(at)
        angles = (turns[1:] * turns[:-1].inv()).magnitude()
        return np.linalg.norm(np.diff(self._places(at), axis=0), axis=1) + self._per_turn * angles

    def cameras(self, at: np.ndarray) -> tuple[Camera, ...]:
        """The cameras at parameters."""
        places, turns, lenses = self._places(at), self._turns(at).as_matrix(), self._lenses(at)
        made = []
        for place, turn, (log_fx, log_fy, cx, cy) in zip(places, turns, lenses, strict=True):
            camera = _placed(self._first, turn, place)
            focal_px = (float(np.exp(log_fx)), float(np.exp(log_fy)))
            made.append(
                Camera(
                    camera.camera_from_world, focal_px, (float(cx), float(cy)), camera.size_px, camera.lens
                )
            )
        return tuple(made)


def _centre(camera: Camera) -> np.ndarray:
    return camera.centre_world.detach().double().numpy()


def _rotations(cameras: Sequence[Camera]) -> Rotation:
    return Rotation.from_matrix([camera.camera_from_world[:3, :3].double().tolist() for camera in cameras])


def _placed(camera: Camera, turn: np.ndarray, place: np.ndarray) -> Camera:
    """The camera with another camera_from_world rotation [3, 3] and centre [3]."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, -turn @ place
    return Camera(torch.from_numpy(pose), camera.focal_px, camera.centre_px, camera.size_px, camera.lens)


def _order(centres: np.ndarray) -> np.ndarray:
    """The given order, or a nearest-neighbour tour if that is much shorter."""
    given = np.arange(len(centres))
    tree, left = cKDTree(centres), np.ones(len(centres), bool)
    tour = [0]
    left[0] = False
    while left.any():
        _, near = tree.query(centres[tour[-1]], k=min(16, len(centres)))
        near = [i for i in np.atleast_1d(near) if left[i]]
        rest = np.flatnonzero(left)
        following = (
            near[0] if near else rest[np.linalg.norm(centres[rest] - centres[tour[-1]], axis=1).argmin()]
        )
        tour.append(int(following))
        left[following] = False
    lengths = [np.linalg.norm(np.diff(centres[order], axis=0), axis=1).sum() for order in (given, tour)]
    return np.array(tour) if lengths[1] < _SHORTER * lengths[0] else given


def _spread(places: np.ndarray, count: int) -> np.ndarray:
    """Indices of about ``count`` positions evenly spaced along the path, including both ends."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))])
    return np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], count)).clip(0, len(places) - 1))
